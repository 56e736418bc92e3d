import { getCodec } from '../src/codec/index.ts';
import { predictionChunkRows } from '../src/protocol/limits.ts';
import type { PeerMessage } from '../src/protocol/messages.ts';
import type { WorkResult } from './work.ts';

/** Results in evaluation are compared to the last digit, so their predictions travel exactly. */
const CODEC = 'float32';

/** What a peer hands in when its work is over: its predictions on the test set in chunks, then `done`. */
export function resultMessages(result: WorkResult, labels: Uint16Array, classes: number): PeerMessage[] {
  const { final, log } = result;
  const messages: PeerMessage[] = [];
  if (final) {
    const chunkRows = predictionChunkRows(classes);
    for (let offset = 0; offset < labels.length; offset += chunkRows) {
      const rows = Math.min(chunkRows, labels.length - offset);
      const values = final.logits.subarray(offset * classes, (offset + rows) * classes);
      messages.push({
        type: 'predictions',
        offset,
        labels: littleEndian(labels.subarray(offset, offset + rows)),
        codec: CODEC,
        shape: [rows, classes],
        data: getCodec(CODEC).encode(values, rows, classes),
      });
    }
  }
  const { imagesPerSecond, waitFraction, stepMs } = log;
  messages.push({
    type: 'done',
    outcome: result.outcome,
    step: result.step,
    imagesPerSecond,
    waitFraction,
    stepMs,
    weights: result.weightsDigest,
  });
  return messages;
}

function littleEndian(values: Uint16Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(values.length * 2);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of values.entries()) view.setUint16(2 * i, value, true);
  return bytes;
}
