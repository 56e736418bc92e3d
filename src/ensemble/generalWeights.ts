import { ShapeError } from '../errors.ts';
import { expectTensors } from './meanProbabilities.ts';

/** Added to the diagonal, relative to its mean: peers that make the same errors have no inverse. */
const RIDGE = 1e-6;

/**
 * The weights of KDCL-General: those of the peers' mixture with the least squared error, as far as their errors on
 * labelled samples tell, `w = C⁻¹ 1 / (1ᵀ C⁻¹ 1)`. `C_jk` is the mean over samples and classes of
 * `(p_j - y)(p_k - y)`, with `p = softmax(z)` and one-hot labels `y`. The paper takes samples that nobody trains on.
 *
 * A weight is negative where a peer is most useful with its errors taken away from those of another one. Peers that
 * err alike, so that `C` has no inverse, share their weight evenly: a millionth of the mean variance is added to each.
 *
 * @param logits one `[rows, classes]` row-major tensor for each peer, finite
 * @param labels true classes of the rows
 * @returns with sum 1
 * @see Guo et al., "Online knowledge distillation via collaborative learning", CVPR 2020, section 3
 * @see Perrone & Cooper, "When networks disagree: ensemble methods for hybrid neural networks", 1993, section 4
 */
export function generalWeights(
  logits: readonly Float32Array[],
  labels: ArrayLike<number>,
  rows: number,
  classes: number,
): number[] {
  expectTensors(logits, 1, rows, classes);
  if (labels.length !== rows)
    throw new ShapeError(`An ensemble of ${rows} rows takes as many labels, got ${labels.length}.`);
  const errors = logits.map((z) => errorsOf(z, labels, classes));
  const covariance = errors.map((a) => errors.map((b) => productOf(a, b) / a.length));
  const meanVariance = covariance.reduce((sum, row, k) => sum + row[k]!, 0) / logits.length;
  // Of peers that make no errors at all, any mixture is as good: `+ 1` where everything is 0.
  const ridge = RIDGE * meanVariance || 1;
  const solution = solve(
    covariance.map((row, k) => row.map((value, j) => (j === k ? value + ridge : value))),
  );
  const total = solution.reduce((sum, value) => sum + value, 0);
  return solution.map((value) => value / total);
}

/** `softmax(z) - y` of all rows. */
function errorsOf(z: Float32Array, labels: ArrayLike<number>, classes: number): Float64Array {
  const errors = new Float64Array(z.length);
  for (let row = 0; row * classes < z.length; row++) {
    const values = z.subarray(row * classes, (row + 1) * classes);
    const largest = values.reduce((most, value) => Math.max(most, value), -Infinity);
    const exponentials = Array.from(values, (value) => Math.exp(value - largest));
    const sum = exponentials.reduce((total, value) => total + value, 0);
    for (const [c, value] of exponentials.entries()) errors[row * classes + c] = value / sum;
    errors[row * classes + labels[row]!]! -= 1;
  }
  return errors;
}

function productOf(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** `x` with `A x = 1`, of a symmetric positive definite matrix: elimination, which needs no pivots for one. */
function solve(matrix: readonly (readonly number[])[]): number[] {
  const size = matrix.length;
  const rows = matrix.map((row) => [...row, 1]);
  for (let k = 0; k < size; k++) {
    for (let i = k + 1; i < size; i++) {
      const factor = rows[i]![k]! / rows[k]![k]!;
      for (let j = k; j <= size; j++) rows[i]![j]! -= factor * rows[k]![j]!;
    }
  }
  const x = new Array<number>(size).fill(0);
  for (let k = size - 1; k >= 0; k--) {
    let rest = rows[k]![size]!;
    for (let j = k + 1; j < size; j++) rest -= rows[k]![j]! * x[j]!;
    x[k] = rest / rows[k]![k]!;
  }
  return x;
}
