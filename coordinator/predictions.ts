import { decodeLabels } from '../src/protocol/classLabels.ts';

/** A peer's final logits on the test set, put together from chunks. */
export interface Predictions {
  /** Rows of the whole test set, as the peer declared and the run agreed on. */
  readonly testSize: number;
  readonly classes: number;
  /** Those that were received, and room for some more: memory is taken as rows come, not as they are announced. */
  logits: Float32Array;
  labels: Uint16Array;
  /** Rows received so far; complete when it equals the test set's size. */
  rows: number;
}

export function createPredictions(testSize: number, classes: number): Predictions {
  return { testSize, classes, logits: new Float32Array(0), labels: new Uint16Array(0), rows: 0 };
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
  const { testSize, classes } = predictions;
  const rows = logits.length / classes;
  if (offset + rows > testSize) {
    return `predictions.offset: expected at most ${testSize} rows in all, got rows ${offset} to ${offset + rows}`;
  }
  if (offset > predictions.rows) {
    return `predictions.offset: expected the next row ${predictions.rows}, got ${offset}`;
  }
  makeRoom(predictions, offset + rows);
  predictions.logits.set(logits, offset * classes);
  const known = decodeLabels(labels);
  const wrong = known.find((label) => label >= classes);
  if (wrong !== undefined) return `predictions.labels: expected classes below ${classes}, got ${wrong}`;
  predictions.labels.set(known, offset);
  predictions.rows = Math.max(predictions.rows, offset + rows);
  return null;
}

/** Twice the room when it is used up, but never more than the test set takes. */
function makeRoom(predictions: Predictions, rows: number): void {
  const { testSize, classes, logits, labels } = predictions;
  if (rows <= labels.length) return;
  const room = Math.min(testSize, Math.max(rows, 2 * labels.length));
  predictions.logits = new Float32Array(room * classes);
  predictions.logits.set(logits);
  predictions.labels = new Uint16Array(room);
  predictions.labels.set(labels);
}

/** Whether every row of the test set has come: then the arrays hold its rows, and nothing else. */
export function isComplete({ rows, testSize }: Predictions): boolean {
  return rows === testSize;
}
