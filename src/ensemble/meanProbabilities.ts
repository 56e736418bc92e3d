import { ShapeError } from '../errors.ts';
import { LogarithmRow, negativeExponentials } from './elementary.ts';

/** What a probability of 0 becomes, so that its logarithm is finite: no teacher is that certain. */
const SMALLEST_PROBABILITY = 2 ** -40;

/**
 * The target of each student: what all *others* predict, as teacher logits.
 *
 * Teacher logits `t` are such that `softmax(t / T)` is the mean over the other students of `softmax(z / T)`. For a
 * forward KL loss, the gradient towards this mean is exactly the mean of the gradients towards each teacher (Zhang et
 * al. 2018, "Deep Mutual Learning", arXiv 1706.00384, eq. 10). Each row is shifted so that its maximum is 0. With
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
      before[j]!.set(sum);
      add(sum, probabilities[j]!, sum);
    }
    sum.fill(0);
    for (let j = logits.length - 1; j >= 0; j--) {
      add(before[j]!, sum, others.values);
      add(sum, probabilities[j]!, sum);
      writeLogits(others, logits.length - 1, temperature, targets[j]!, start);
    }
  }
  return targets;
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
function softmax(z: Float32Array, start: number, temperature: number, out: Float64Array): void {
  const largest = maximum(z, start, out.length);
  const scale = 1 / temperature;
  for (let c = 0; c < out.length; c++) out[c] = (largest - z[start + c]!) * scale;
  negativeExponentials(out);
  let sum = 0;
  for (let c = 0; c < out.length; c++) sum += out[c]!;
  const share = 1 / sum;
  for (let c = 0; c < out.length; c++) out[c]! *= share;
}

/** Writes `temperature * log(sum / count)` as a row that starts at `start`, shifted so that its maximum is 0. */
function writeLogits(
  sum: LogarithmRow,
  count: number,
  temperature: number,
  out: Float32Array,
  start: number,
): void {
  const { values } = sum;
  let largest = 0;
  for (let c = 0; c < values.length; c++) if (values[c]! > largest) largest = values[c]!;
  const scale = 1 / largest;
  const smallest = SMALLEST_PROBABILITY * count * scale;
  for (let c = 0; c < values.length; c++) {
    const scaled = values[c]! * scale;
    values[c] = scaled > smallest ? scaled : smallest;
  }
  sum.takeLogarithms();
  for (let c = 0; c < values.length; c++) out[start + c] = temperature * values[c]!;
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

function add(a: Float64Array, b: Float64Array, out: Float64Array): void {
  for (let c = 0; c < out.length; c++) out[c] = a[c]! + b[c]!;
}

function expectTensors(logits: readonly Float32Array[], atLeast: number, rows: number, classes: number): void {
  if (logits.length < atLeast) {
    throw new ShapeError(`An ensemble of this kind takes at least ${atLeast} predictions, got ${logits.length}.`);
  }
  for (const [j, z] of logits.entries()) {
    if (z.length === rows * classes) continue;
    throw new ShapeError(
      `Prediction ${j} of the ensemble: a tensor [${rows}, ${classes}] has ${rows * classes} values, got ${z.length}.`,
    );
  }
}
