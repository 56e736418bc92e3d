import { negativeExponential } from '../../src/ensemble/elementary.ts';

/** What the logits of one peer say about a batch, a row at a time. */
export interface Observation {
  /** The likeliest class of each row. */
  readonly classes: Uint16Array;
  /** The probability of all the other classes together, for each row: 0 is certain. */
  readonly doubts: Float64Array;
  /** Mean over the rows. */
  readonly meanDoubt: number;
}

/** @param logits `[rows, classes]`, row-major, finite */
export function observe(logits: Float32Array, rows: number): Observation {
  const width = logits.length / rows;
  const classes = new Uint16Array(rows);
  const doubts = new Float64Array(rows);
  let total = 0;
  for (let row = 0; row < rows; row++) {
    const start = row * width;
    let likeliest = start;
    for (let i = start + 1; i < start + width; i++) if (logits[i]! > logits[likeliest]!) likeliest = i;
    const largest = logits[likeliest]!;
    let others = 0;
    for (let i = start; i < start + width; i++) {
      if (i !== likeliest) others += negativeExponential(largest - logits[i]!);
    }
    classes[row] = likeliest - start;
    doubts[row] = others / (1 + others);
    total += doubts[row]!;
  }
  return { classes, doubts, meanDoubt: total / rows };
}
