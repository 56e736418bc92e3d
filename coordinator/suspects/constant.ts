/** Differences that are smaller than this share of the row's spread are none. */
const TOLERANCE = 0.01;

/** The row that a peer repeats; its mean is 0, as a constant added to logits changes no probability. */
export interface Repeated {
  row: Float64Array | null;
}

/**
 * Whether every row of a batch is the same as every row of the batch before it. The first batch after a change is
 * compared with its own first row, so that a batch of one sample says nothing by itself.
 *
 * An honest network's rows differ from its first step on, by a third of their spread and more; one that has collapsed to
 * its biases says nothing about the samples, either.
 */
export function isConstant(repeated: Repeated, logits: Float32Array, rows: number): boolean {
  if (repeated.row && allAre(repeated.row, logits)) return true;
  const first = centred(logits.subarray(0, logits.length / rows));
  repeated.row = first;
  return rows > 1 && allAre(first, logits);
}

function allAre(expected: Float64Array, logits: Float32Array): boolean {
  const classes = expected.length;
  const tolerance = TOLERANCE * spread(expected);
  for (let start = 0; start < logits.length; start += classes) {
    const mean = meanOf(logits, start, classes);
    for (let c = 0; c < classes; c++) {
      if (Math.abs(logits[start + c]! - mean - expected[c]!) > tolerance) return false;
    }
  }
  return true;
}

function centred(row: Float32Array): Float64Array {
  const mean = meanOf(row, 0, row.length);
  return Float64Array.from(row, (value) => value - mean);
}

function meanOf(values: Float32Array, start: number, count: number): number {
  let sum = 0;
  for (let i = start; i < start + count; i++) sum += values[i]!;
  return sum / count;
}

function spread(values: Float64Array): number {
  let [least, largest] = [Infinity, -Infinity];
  for (const value of values) {
    least = Math.min(least, value);
    largest = Math.max(largest, value);
  }
  return largest - least;
}
