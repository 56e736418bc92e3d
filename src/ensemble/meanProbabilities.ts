import { ShapeError } from '../errors.ts';
import { LEAST_ARGUMENT, LogarithmRow, negativeExponential } from './elementary.ts';

/** What a probability of 0 becomes, so that its logarithm is finite: no teacher is that certain. */
const SMALLEST_PROBABILITY = LEAST_ARGUMENT;

/**
 * The target of each student: what all *others* predict, as teacher logits.
 *
 * Teacher logits `t` are such that `softmax(t / T)` is the mean over the other students of `softmax(z / T)`. For a
 * forward KL loss, the gradient towards this mean is exactly the mean of the gradients towards each teacher (Zhang et
 * al. 2018, "Deep Mutual Learning", arXiv 1706.00384, section 3). Each row is shifted so that its maximum is 0. With
 * exactly one other, its logits are returned with no other change than this shift, and hold for any temperature.
 *
 * Sums run in float64 and in the order of `logits`, so equal arguments give equal bits. The sum of the others is the
 * sum of those before plus the sum of those after: O(N), as total minus own would be, without its cancellation.
 *
 * @param logits one `[rows, classes]` row-major tensor for each student, finite, in the fixed order of the run
 * @returns the teacher logits of each student, in the same order
 */
export function leaveOneOut(
  logits: readonly Float32Array[],
  rows: number,
  classes: number,
  temperature: number,
): Float32Array<ArrayBuffer>[] {
  expectTensors(logits, 2, rows, classes);
  if (logits.length === 2) return [shifted(logits[1]!, rows, classes), shifted(logits[0]!, rows, classes)];

  const targets = logits.map(() => new Float32Array(rows * classes));
  const probabilities = logits.map(() => new Float64Array(classes));
  const before = logits.map(() => new Float64Array(classes));
  const others = new LogarithmRow(classes);
  const sum = new Float64Array(classes);
  for (let row = 0; row < rows; row++) {
    const start = row * classes;
    sum.fill(0);
    for (let j = 0; j < logits.length; j++) {
      softmax(logits[j]!, start, temperature, probabilities[j]!);
      accumulate(sum, probabilities[j]!, before[j]!);
    }
    sum.fill(0);
    for (let j = logits.length - 1; j >= 0; j--) {
      const likeliest = addOthers(before[j]!, sum, logits.length - 1, others.values);
      writeLogits(others, likeliest, temperature, targets[j]!, start);
      accumulate(sum, probabilities[j]!, before[j]!);
    }
  }
  return targets;
}

/**
 * The target that all students share: what they all predict, the student's own predictions included, as teacher logits.
 *
 * As {@link leaveOneOut} in everything else, down to a single prediction, which is only shifted.
 *
 * @param logits one `[rows, classes]` row-major tensor for each student, finite, in the fixed order of the run
 */
export function meanTarget(
  logits: readonly Float32Array[],
  rows: number,
  classes: number,
  temperature: number,
): Float32Array<ArrayBuffer> {
  expectTensors(logits, 1, rows, classes);
  if (logits.length === 1) return shifted(logits[0]!, rows, classes);

  const target = new Float32Array(rows * classes);
  const probabilities = new Float64Array(classes);
  const [before, sum, nothing] = [0, 0, 0].map(() => new Float64Array(classes)) as [
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const all = new LogarithmRow(classes);
  for (let row = 0; row < rows; row++) {
    const start = row * classes;
    sum.fill(0);
    for (const z of logits) {
      softmax(z, start, temperature, probabilities);
      accumulate(sum, probabilities, before);
    }
    const likeliest = addOthers(sum, nothing, logits.length, all.values);
    writeLogits(all, likeliest, temperature, target, start);
  }
  return target;
}

/**
 * The ensemble of all peers: logarithms of the mean of `softmax(z)`.
 *
 * They are logits of the mean too, so whatever evaluates one model's logits evaluates the ensemble, and the negative
 * log-likelihood of a label is minus its entry. Computed without a floor: an ensemble's mistake costs what it costs.
 *
 * @param logits one `[rows, classes]` row-major tensor for each peer, finite, in the fixed order of the run
 */
export function meanOfAll(
  logits: readonly Float32Array[],
  rows: number,
  classes: number,
): Float32Array<ArrayBuffer> {
  expectTensors(logits, 1, rows, classes);
  const result = new Float32Array(rows * classes);
  const normalizers = new Float64Array(logits.length);
  for (let row = 0; row < rows; row++) {
    const start = row * classes;
    for (let j = 0; j < logits.length; j++) normalizers[j] = logSumExp(logits[j]!, start, classes);
    for (let i = start; i < start + classes; i++) {
      let largest = -Infinity;
      for (let j = 0; j < logits.length; j++) largest = Math.max(largest, logits[j]![i]! - normalizers[j]!);
      let sum = 0;
      for (let j = 0; j < logits.length; j++) sum += Math.exp(logits[j]![i]! - normalizers[j]! - largest);
      result[i] = largest + Math.log(sum / logits.length);
    }
  }
  return result;
}

/** Writes `softmax(z / temperature)` of the row that starts at `start`. */
export function softmax(z: Float32Array, start: number, temperature: number, out: Float64Array): void {
  const largest = maximum(z, start, out.length);
  const scale = 1 / temperature;
  let sum = 0;
  for (let c = 0; c < out.length; c++) {
    const e = negativeExponential((largest - z[start + c]!) * scale);
    out[c] = e;
    sum += e;
  }
  const share = 1 / sum;
  for (let c = 0; c < out.length; c++) out[c]! *= share;
}

/** Adds `values` to `sum`, and keeps in `previous` what it was. */
function accumulate(sum: Float64Array, values: Float64Array, previous: Float64Array): void {
  for (let c = 0; c < sum.length; c++) {
    const s = sum[c]!;
    previous[c] = s;
    sum[c] = s + values[c]!;
  }
}

/**
 * Writes the sum of the others' probabilities: of those before and those after, `count` in all.
 *
 * @returns the class with the largest
 */
function addOthers(before: Float64Array, after: Float64Array, count: number, out: Float64Array): number {
  const smallest = SMALLEST_PROBABILITY * count;
  let likeliest = 0;
  let largest = 0;
  for (let c = 0; c < out.length; c++) {
    const s = before[c]! + after[c]!;
    out[c] = Math.max(s, smallest);
    if (s > largest) {
      largest = s;
      likeliest = c;
    }
  }
  return likeliest;
}

/** Writes `temperature * log(sum)` as a row that starts at `start`, shifted so that class `likeliest` has 0. */
export function writeLogits(
  sum: LogarithmRow,
  likeliest: number,
  temperature: number,
  out: Float32Array,
  start: number,
): void {
  const largest = sum.logarithm(likeliest);
  const classes = sum.values.length;
  for (let c = 0; c < classes; c++) out[start + c] = temperature * (sum.logarithm(c) - largest);
}

/** `log(sum(exp(z)))` of the row that starts at `start`. */
function logSumExp(z: Float32Array, start: number, classes: number): number {
  const largest = maximum(z, start, classes);
  let sum = 0;
  for (let i = start; i < start + classes; i++) sum += Math.exp(z[i]! - largest);
  return largest + Math.log(sum);
}

function shifted(z: Float32Array, rows: number, classes: number): Float32Array<ArrayBuffer> {
  const out = new Float32Array(z.length);
  for (let row = 0; row < rows; row++) {
    const start = row * classes;
    const largest = maximum(z, start, classes);
    for (let i = start; i < start + classes; i++) out[i] = z[i]! - largest;
  }
  return out;
}

function maximum(values: Float32Array, start: number, count: number): number {
  let largest = values[start]!;
  for (let i = start + 1; i < start + count; i++) if (values[i]! > largest) largest = values[i]!;
  return largest;
}

/** @throws {ShapeError} for too few predictions, or one of another size */
export function expectTensors(
  logits: readonly Float32Array[],
  atLeast: number,
  rows: number,
  classes: number,
): void {
  if (logits.length < atLeast) {
    throw new ShapeError(
      `An ensemble of this kind takes at least ${atLeast} predictions, got ${logits.length}.`,
    );
  }
  for (const [j, z] of logits.entries()) {
    if (z.length === rows * classes) continue;
    throw new ShapeError(
      `Prediction ${j} of the ensemble: a tensor [${rows}, ${classes}] has ${rows * classes} values, got ${z.length}.`,
    );
  }
}
