import { describe, expect, it } from 'vitest';
import {
  CHECKPOINT_CHUNK_BYTES,
  frameLimit,
  HEADER_BYTES,
  MAX_CHECKPOINT_BYTES,
  MAX_CLASSES,
  MAX_FRAME_BYTES,
  PRE_AUTH_FRAME_BYTES,
  predictionChunkRows,
} from '../../src/protocol/limits.ts';
import type { PeerMessage } from '../../src/protocol/messages.ts';
import { encodeMessage } from '../../src/protocol/wire.ts';

describe('frameLimit', () => {
  it('takes a batch of logits as float32 and a quarter more', () => {
    expect(frameLimit(512, 1000)).toBe(HEADER_BYTES + 512 * 1000 * 5);
  });

  it('takes a chunk of predictions, however small the batches are', () => {
    for (const classes of [2, 10, 100, 1000, MAX_CLASSES]) {
      const rows = predictionChunkRows(classes);
      expect(rows).toBeGreaterThanOrEqual(1);
      const frame = encodeMessage({
        type: 'predictions',
        offset: 2 ** 31 - 1,
        labels: new Uint8Array(rows * 2),
        codec: 'float32',
        shape: [rows, classes],
        data: new Uint8Array(rows * classes * 4),
      });
      expect(frame.byteLength).toBeLessThanOrEqual(frameLimit(1, classes));
    }
  });

  it('takes the longest messages without a tensor', () => {
    const longest = '∞'.repeat(512);
    const notice: PeerMessage = { type: 'notice', event: 'collapsed', step: 1, reason: longest };
    expect(encodeMessage(notice).byteLength).toBeLessThanOrEqual(frameLimit(1, 2));
  });

  it('takes a piece of a checkpoint', () => {
    const [step, offset, size] = [2 ** 31 - 1, MAX_CHECKPOINT_BYTES, MAX_CHECKPOINT_BYTES];
    const data = new Uint8Array(CHECKPOINT_CHUNK_BYTES);
    const piece: PeerMessage = { type: 'checkpoint', step, offset, size, data };
    expect(encodeMessage(piece).byteLength).toBeLessThanOrEqual(frameLimit(1, 2));
  });

  it('never passes the hard cap', () => {
    expect(frameLimit(2 ** 20, 2 ** 16)).toBe(MAX_FRAME_BYTES);
  });
});

describe('PRE_AUTH_FRAME_BYTES', () => {
  it('takes the longest hello', () => {
    const label = '∞'.repeat(128);
    const hello: PeerMessage = {
      type: 'hello',
      protocol: 1,
      name: 'n'.repeat(64),
      incarnation: 'i'.repeat(64),
      model: label,
      backend: label,
      device: label,
      role: 'teacher',
      identity: new Uint8Array(32),
    };
    expect(encodeMessage(hello).byteLength).toBeLessThanOrEqual(PRE_AUTH_FRAME_BYTES);
  });
});
