import { decodeLabels } from '../src/protocol/classLabels.ts';

/** A peer's final logits on the test set, put together from chunks. */
export interface Predictions {
  readonly logits: Float32Array;
  readonly labels: Uint16Array;
  /** Rows received so far; complete when it equals the test set's size. */
  rows: number;
}

/** @param testSize rows, as the peer declared and the run agreed on */
export function createPredictions(testSize: number, classes: number): Predictions {
  return {
    logits: new Float32Array(testSize * classes),
    labels: new Uint16Array(testSize),
    rows: 0,
  };
}

/**
 * Adds a chunk. Chunks come in order; one that comes again replaces what was there, so that a peer may send all again
 * after a reconnect.
 *
 * @returns what is wrong with the chunk, or `null`
 */
export function addChunk(
  predictions: Predictions,
  offset: number,
  logits: Float32Array,
  labels: Uint8Array,
): string | null {
  const testSize = predictions.labels.length;
  const classes = predictions.logits.length / testSize;
  const rows = logits.length / classes;
  if (offset + rows > testSize) {
    return `predictions.offset: expected at most ${testSize} rows in all, got rows ${offset} to ${offset + rows}`;
  }
  if (offset > predictions.rows) {
    return `predictions.offset: expected the next row ${predictions.rows}, got ${offset}`;
  }
  predictions.logits.set(logits, offset * classes);
  const known = decodeLabels(labels);
  const wrong = known.find((label) => label >= classes);
  if (wrong !== undefined) return `predictions.labels: expected classes below ${classes}, got ${wrong}`;
  predictions.labels.set(known, offset);
  predictions.rows = Math.max(predictions.rows, offset + rows);
  return null;
}

/** Whether every row of the test set has come. */
export function isComplete({ rows, labels }: Predictions): boolean {
  return rows === labels.length;
}
