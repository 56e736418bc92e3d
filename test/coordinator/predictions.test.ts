import { describe, expect, it } from 'vitest';
import { addChunk, createPredictions, type Predictions } from '../../coordinator/predictions.ts';

/** Adds rows of two equal logits each, with the labels given. */
function add(predictions: Predictions, offset: number, values: readonly number[], labels: readonly number[]) {
  const logits = Float32Array.from(values.flatMap((value) => [value, value]));
  return addChunk(predictions, offset, logits, new Uint8Array(labels.flatMap((label) => [label, 0])));
}

describe('addChunk', () => {
  it('puts chunks together', () => {
    const predictions = createPredictions(3, 2);
    expect(add(predictions, 0, [1, 2], [1, 0])).toBeNull();
    expect(predictions.rows).toBe(2);
    expect(add(predictions, 2, [3], [1])).toBeNull();
    expect(predictions).toMatchObject({
      logits: Float32Array.of(1, 1, 2, 2, 3, 3),
      labels: Uint16Array.of(1, 0, 1),
      rows: 3,
    });
  });

  it('reads labels as little-endian, at any alignment', () => {
    const predictions = createPredictions(1, 300);
    const frame = Uint8Array.of(99, 0x2b, 0x01, 99);
    expect(addChunk(predictions, 0, new Float32Array(300), frame.subarray(1, 3))).toBeNull();
    expect(predictions.labels).toEqual(Uint16Array.of(299));
  });

  it('lets chunks that come again replace those from before', () => {
    const predictions = createPredictions(2, 2);
    add(predictions, 0, [1, 2], [0, 0]);
    expect(add(predictions, 0, [5], [1])).toBeNull();
    expect(predictions).toMatchObject({
      logits: Float32Array.of(5, 5, 2, 2),
      labels: Uint16Array.of(1, 0),
      rows: 2,
    });
  });

  it('takes memory for rows that come, not for those that are announced', () => {
    const predictions = createPredictions(2 ** 31 - 1, 2);
    expect(add(predictions, 0, [1, 2], [0, 0])).toBeNull();
    expect(predictions.logits.length).toBe(4);
    expect(add(predictions, 2, [3], [1])).toBeNull();
    expect(predictions.logits.subarray(0, 6)).toEqual(Float32Array.of(1, 1, 2, 2, 3, 3));
    expect(predictions.labels.length).toBe(4);
  });

  it('refuses a gap', () => {
    const predictions = createPredictions(4, 2);
    add(predictions, 0, [1], [0]);
    expect(add(predictions, 2, [1], [0])).toBe('predictions.offset: expected the next row 1, got 2');
    expect(predictions.rows).toBe(1);
  });

  it('refuses more rows than the test set has', () => {
    const predictions = createPredictions(2, 2);
    const reason = 'predictions.offset: expected at most 2 rows in all, got rows 0 to 3';
    expect(add(predictions, 0, [1, 2, 3], [0, 0, 0])).toBe(reason);
    expect(add(predictions, 2 ** 31 - 1, [1], [0])).toContain('expected at most 2 rows');
    expect(predictions.rows).toBe(0);
  });

  it('refuses a label that is no class', () => {
    const predictions = createPredictions(2, 2);
    expect(add(predictions, 0, [1, 2], [1, 2])).toBe('predictions.labels: expected classes below 2, got 2');
    expect(predictions.rows).toBe(0);
  });
});
