import { beforeAll, describe, expect, it } from 'vitest';
import { predictionMessages, resultMessages } from '../../peer/resultMessages.ts';
import type { WorkResult } from '../../peer/work.ts';
import { getCodec } from '../../src/codec/index.ts';
import { frameLimit, PREDICTIONS_CHUNK_BYTES } from '../../src/protocol/limits.ts';
import type { MessageOf, PeerMessage } from '../../src/protocol/messages.ts';
import { decodePeerMessage, encodeMessage } from '../../src/protocol/wire.ts';
import { normals } from '../support/numeric.ts';

type Predictions = MessageOf<PeerMessage, 'predictions'>;

/** So many that a row with its label takes 4002 bytes, and 262 of them a chunk. */
const CLASSES = 1000;
const ROWS = 600;

const labels = Uint16Array.from({ length: ROWS }, (_, i) => (i * 7) % CLASSES);
const logits = Float32Array.from(normals(ROWS * CLASSES, 3, 'logits'));
const result: WorkResult = {
  outcome: 'finished',
  step: 12,
  log: { imagesPerSecond: 100, waitFraction: 0.25, stepMs: 80 } as WorkResult['log'],
  final: { logits, evaluation: { accuracy: 1, nll: 0, ece: 0 } },
  best: null,
  weightsDigest: 'f'.repeat(64),
  unsaved: null,
};

let messages: PeerMessage[];
let chunks: Predictions[];

beforeAll(() => {
  // As the coordinator gets them.
  messages = resultMessages(result, labels, CLASSES).map((message) => {
    const frame = encodeMessage(message);
    expect(frame.byteLength).toBeLessThanOrEqual(frameLimit(1, CLASSES));
    return decodePeerMessage(frame);
  });
  chunks = messages.filter((message): message is Predictions => message.type === 'predictions');
});

describe('the messages with the results', () => {
  it('hold all predictions, in order and exactly, in chunks within the limit', () => {
    expect(chunks.map(({ offset, shape }) => [offset, ...shape])).toEqual([
      [0, 262, CLASSES],
      [262, 262, CLASSES],
      [524, 76, CLASSES],
    ]);
    const received = chunks.flatMap(({ codec, data, shape }) => [...getCodec(codec).decode(data, ...shape)]);
    expect(Float32Array.from(received)).toEqual(logits);
    for (const { data, labels } of chunks) {
      expect(data.byteLength + labels.byteLength).toBeLessThanOrEqual(PREDICTIONS_CHUNK_BYTES);
    }
  });

  it('have the labels as little-endian 16-bit integers', () => {
    const bytes = Uint8Array.from(chunks.flatMap((chunk) => [...chunk.labels]));
    expect(bytes).toEqual(Uint8Array.from([...labels].flatMap((label) => [label & 255, label >> 8])));
    expect(Math.max(...labels), 'some need the second byte').toBeGreaterThan(255);
  });

  it('end with done', () => {
    expect(messages.at(-1)).toEqual({
      type: 'done',
      outcome: 'finished',
      step: 12,
      imagesPerSecond: 100,
      waitFraction: 0.25,
      stepMs: 80,
      weights: 'f'.repeat(64),
    });
    expect(messages).toHaveLength(chunks.length + 1);
  });

  it('are done alone when the training was interrupted', () => {
    const interrupted = resultMessages({ ...result, outcome: 'interrupted', final: null }, labels, CLASSES);
    expect(interrupted).toMatchObject([{ type: 'done', outcome: 'interrupted', step: 12 }]);
  });

  it('name no weights that could not be saved', () => {
    const done = resultMessages({ ...result, weightsDigest: null }, labels, CLASSES).at(-1)!;
    expect(done.type).toBe('done');
    expect(done).not.toHaveProperty('weights');
    expect(() => encodeMessage(done)).not.toThrow();
  });

  it('of a teacher are its predictions alone', () => {
    expect(predictionMessages(logits, labels, CLASSES)).toEqual(
      resultMessages(result, labels, CLASSES).slice(0, -1),
    );
  });

  it('fill a last chunk to the brim without an empty one after it', () => {
    const exact = resultMessages(result, labels.subarray(0, 524), CLASSES);
    expect(exact.map(({ type }) => type)).toEqual(['predictions', 'predictions', 'done']);
  });
});
