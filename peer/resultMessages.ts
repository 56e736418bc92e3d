import { getCodec } from '../src/codec/index.ts';
import { encodeLabels } from '../src/protocol/classLabels.ts';
import { predictionChunkRows } from '../src/protocol/limits.ts';
import type { PeerMessage } from '../src/protocol/messages.ts';
import type { WorkResult } from './work.ts';

/** Results in evaluation are compared to the last digit, so their predictions travel exactly. */
const CODEC = 'float32';

/** What a student hands in when its work is over: its predictions on the test set, then `done`. */
export function resultMessages(result: WorkResult, labels: Uint16Array, classes: number): PeerMessage[] {
  const { final, log } = result;
  const { imagesPerSecond, waitFraction, stepMs } = log;
  return [
    ...(final ? predictionMessages(final.logits, labels, classes) : []),
    {
      type: 'done',
      outcome: result.outcome,
      step: result.step,
      imagesPerSecond,
      waitFraction,
      stepMs,
      ...(result.weightsDigest !== null && { weights: result.weightsDigest }),
    },
  ];
}

/** Predictions on the test set, in chunks. */
export function predictionMessages(
  logits: Float32Array,
  labels: Uint16Array,
  classes: number,
): PeerMessage[] {
  const messages: PeerMessage[] = [];
  const chunkRows = predictionChunkRows(classes);
  for (let offset = 0; offset < labels.length; offset += chunkRows) {
    const rows = Math.min(chunkRows, labels.length - offset);
    const values = logits.subarray(offset * classes, (offset + rows) * classes);
    messages.push({
      type: 'predictions',
      offset,
      labels: encodeLabels(labels.subarray(offset, offset + rows)),
      codec: CODEC,
      shape: [rows, classes],
      data: getCodec(CODEC).encode(values, rows, classes),
    });
  }
  return messages;
}
