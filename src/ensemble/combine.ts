/**
 * Ensembles of logits, a row at a time: each writes the logits of one target, made of what several teachers predict for
 * one sample. Sums run in float64 and in the order of the teachers.
 */

export interface Teacher {
  /** `[rows, classes]`, row-major, finite. */
  readonly logits: Float32Array;
  /** Counts in the weighted ensemble alone. */
  readonly weight: number;
}

/**
 * @param start index of the row's first logit
 * @param label the row's true class; not read by ensembles that need no labels
 * @param out the target's logits, `[classes]`
 */
export type CombineRow = (
  teachers: readonly Teacher[],
  start: number,
  label: number,
  out: Float64Array,
) => void;

/** The mean of the logits. */
export const meanLogits: CombineRow = (teachers, start, _label, out) => {
  out.fill(0);
  const share = 1 / teachers.length;
  for (const { logits } of teachers) addRow(logits, start, share, out);
};

/**
 * The weighted mean of the logits: KDCL-General, when the weights say how the teachers' errors go together. Weights may
 * be negative; where they do not add up to more than 0, all teachers count alike.
 */
export const weightedLogits: CombineRow = (teachers, start, label, out) => {
  let total = 0;
  for (const { weight } of teachers) total += weight;
  if (!(total > 0)) {
    meanLogits(teachers, start, label, out);
    return;
  }
  out.fill(0);
  for (const { logits, weight } of teachers) addRow(logits, start, weight / total, out);
};

/**
 * KDCL-MinLogit: for each class the least of what the teachers say, relative to what they say of the true class. No
 * mixture of their logits has a smaller cross-entropy.
 */
export const minLogit: CombineRow = (teachers, start, label, out) => {
  out.fill(Infinity);
  for (const { logits } of teachers) {
    const ofTrue = logits[start + label]!;
    for (let c = 0; c < out.length; c++) out[c] = Math.min(out[c]!, logits[start + c]! - ofTrue);
  }
};

/** KDCL-Naive: the logits of the teacher with the least cross-entropy; of the first one among equals. */
export const best: CombineRow = (teachers, start, label, out) => {
  let [chosen, least] = [teachers[0]!, Infinity];
  for (const teacher of teachers) {
    const loss = crossEntropy(teacher.logits.subarray(start, start + out.length), label);
    if (loss < least) [chosen, least] = [teacher, loss];
  }
  out.set(chosen.logits.subarray(start, start + out.length));
};

/** `-log softmax(z)[label]`. */
export function crossEntropy(z: ArrayLike<number>, label: number): number {
  let largest = -Infinity;
  for (let c = 0; c < z.length; c++) largest = Math.max(largest, z[c]!);
  let sum = 0;
  for (let c = 0; c < z.length; c++) sum += Math.exp(z[c]! - largest);
  return largest + Math.log(sum) - z[label]!;
}

function addRow(logits: Float32Array, start: number, factor: number, out: Float64Array): void {
  for (let c = 0; c < out.length; c++) out[c]! += logits[start + c]! * factor;
}
