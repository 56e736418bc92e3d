import type { CombineRow } from './combine.ts';

/** Ends when moving all weight between any two teachers would gain less than this, relative to the largest logit or 1. */
const TOLERANCE = 1e-9;
const MAX_ROUNDS = 200;
const MAX_SEARCH_STEPS = 60;

/**
 * KDCL-Linear: the mixture of the teachers' logits with the least cross-entropy, `Σ_k α_k z_k` with `α_k >= 0` and
 * `Σ_k α_k = 1`.
 */
export const linear: CombineRow = (teachers, start, label, out) => {
  const rows = teachers.map(({ logits }) => logits.subarray(start, start + out.length));
  const weights = leastCrossEntropy(rows, label);
  out.fill(0);
  for (const [k, z] of rows.entries()) {
    const weight = weights[k]!;
    for (let c = 0; c < out.length; c++) out[c]! += weight * z[c]!;
  }
};

/**
 * The weights of that mixture. The problem is convex; it is solved by moving weight, again and again, from the teacher
 * whose share costs most to the one whose share would gain most, as much as is best (pairwise Frank-Wolfe with exact
 * line search), starting with equal weights.
 *
 * @param rows one row of logits for each teacher, finite
 * @returns at least 0, with sum 1 up to rounding
 * @see Lacoste-Julien & Jaggi, "On the global linear convergence of Frank-Wolfe optimization variants", NeurIPS 2015
 */
export function leastCrossEntropy(rows: readonly Float32Array[], label: number): Float64Array {
  const classes = rows[0]!.length;
  const weights = new Float64Array(rows.length).fill(1 / rows.length);
  const mixture = new Float64Array(classes);
  const probabilities = new Float64Array(classes);
  const direction = new Float64Array(classes);
  let scale = 1;
  for (const z of rows) for (let c = 0; c < classes; c++) scale = Math.max(scale, Math.abs(z[c]!));
  const tolerance = TOLERANCE * scale;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    mixture.fill(0);
    for (const [k, z] of rows.entries()) {
      for (let c = 0; c < classes; c++) mixture[c]! += weights[k]! * z[c]!;
    }
    softmax(mixture, probabilities);
    let [to, from, least, most] = [0, 0, Infinity, -Infinity];
    for (const [k, z] of rows.entries()) {
      const slope = slopeOf(z, probabilities, label);
      if (slope < least) [to, least] = [k, slope];
      if (weights[k]! > 0 && slope > most) [from, most] = [k, slope];
    }
    if (!(most - least > tolerance)) break;
    for (let c = 0; c < classes; c++) direction[c] = rows[to]![c]! - rows[from]![c]!;
    const available = weights[from]!;
    const moved = lineSearch({
      at: mixture,
      direction,
      label,
      farthest: available,
      tolerance: tolerance / 8,
    });
    if (moved <= 0) break;
    weights[to]! += moved;
    // All of it: what a subtraction of equal numbers leaves is 0, and stays out of the next rounds.
    weights[from] = available - moved;
  }
  return weights;
}

interface Line {
  readonly at: Float64Array;
  readonly direction: Float64Array;
  readonly label: number;
  readonly farthest: number;
  /** Ends where the slope is no steeper. */
  readonly tolerance: number;
}

/** How far to go along the direction for the least cross-entropy: Newton's method, kept in a bracket. */
function lineSearch({ at, direction, label, farthest, tolerance }: Line): number {
  const probabilities = new Float64Array(at.length);
  const point = new Float64Array(at.length);
  /** First and second derivative: the direction's mean less that of the label, and its variance. */
  const derivatives = (distance: number): [number, number] => {
    for (let c = 0; c < at.length; c++) point[c] = at[c]! + distance * direction[c]!;
    softmax(point, probabilities);
    const slope = slopeOf(direction, probabilities, label);
    let variance = 0;
    const mean = slope + direction[label]!;
    for (let c = 0; c < at.length; c++) variance += probabilities[c]! * (direction[c]! - mean) ** 2;
    return [slope, variance];
  };
  if (derivatives(farthest)[0] <= 0) return farthest;
  let [low, high, distance] = [0, farthest, farthest / 2];
  for (let step = 0; step < MAX_SEARCH_STEPS; step++) {
    const [slope, curvature] = derivatives(distance);
    if (slope > 0) high = distance;
    else low = distance;
    if (Math.abs(slope) <= tolerance || high - low <= Number.EPSILON * farthest) break;
    const newton = distance - slope / curvature;
    // Where the slope is flat far away, Newton leaves the bracket; half of it is certain progress.
    distance = newton > low && newton < high ? newton : (low + high) / 2;
  }
  return distance;
}

/** The derivative of the cross-entropy along `z`: its mean under the probabilities, less that of the label. */
function slopeOf(z: ArrayLike<number>, probabilities: Float64Array, label: number): number {
  let mean = 0;
  for (let c = 0; c < probabilities.length; c++) mean += probabilities[c]! * (z[c]! - z[label]!);
  return mean;
}

function softmax(z: Float64Array, out: Float64Array): void {
  let largest = -Infinity;
  for (let c = 0; c < z.length; c++) largest = Math.max(largest, z[c]!);
  let sum = 0;
  for (let c = 0; c < z.length; c++) {
    const e = Math.exp(z[c]! - largest);
    out[c] = e;
    sum += e;
  }
  for (let c = 0; c < z.length; c++) out[c]! /= sum;
}
