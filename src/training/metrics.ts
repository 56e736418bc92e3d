import { DataError, ShapeError } from '../errors.ts';
import type { Evaluation } from '../results/types.ts';

/** How many of the largest logits `top5` looks at. */
const TOP = 5;

/** Equal-width bins of confidence in the calibration error. */
const CALIBRATION_BINS = 15;

/** Index of the largest of `classes` values from `start` on; the first of several equal ones. */
function argmaxAt(values: ArrayLike<number>, start: number, classes: number): number {
  let best = 0;
  for (let k = 1; k < classes; k++) {
    if (values[start + k]! > values[start + best]!) best = k;
  }
  return best;
}

/** Sum of `exp(value - max)` over one row, in float64; `max` is the row's largest value. */
function sumExp(logits: ArrayLike<number>, start: number, classes: number, max: number): number {
  let sum = 0;
  for (let k = 0; k < classes; k++) sum += Math.exp(logits[start + k]! - max);
  return sum;
}

/** How many of the other classes of one row come before `label`: those that are not below it, of equal ones the first. */
function rankOf(label: number, logits: ArrayLike<number>, start: number, classes: number): number {
  const its = logits[start + label]!;
  let rank = 0;
  for (let k = 0; k < classes; k++) {
    const value = logits[start + k]!;
    // A comparison with NaN is false: such a row has its label last.
    if (k !== label && !(value < its) && !(value === its && k > label)) rank++;
  }
  return rank;
}

/** Confidence bin of Guo et al.: bin `m` of `M` holds `(m/M, (m+1)/M]`. */
function binOf(confidence: number): number {
  return Math.ceil(confidence * CALIBRATION_BINS) - 1;
}

function checkRows(length: number, labels: Uint16Array, classes: number): void {
  if (labels.length === 0) throw new ShapeError('Cannot evaluate on an empty set: there are no labels.');
  if (length !== labels.length * classes) {
    throw new ShapeError(
      `Expected ${labels.length} x ${classes} = ${labels.length * classes} logits, got ${length}.`,
    );
  }
  const bad = labels.findIndex((label) => label >= classes);
  if (bad !== -1) {
    throw new DataError(`Expected labels below ${classes}, got ${labels[bad]} at sample ${bad}.`);
  }
}

/**
 * Quality of unnormalised scores. Those of a model that has diverged, NaN or plus infinity, are as bad as can be said in
 * finite numbers, since neither JSON nor the protocol knows others: the largest `nll`, an `ece` of 1, a `brier` of 2.
 *
 * @param logits `[samples, classes]`, row-major
 * @param labels true class of each sample, `[samples]`
 */
export function evaluateLogits(logits: Float32Array, labels: Uint16Array, classes: number): Evaluation {
  checkRows(logits.length, labels, classes);
  let correct = 0;
  let nll = 0;
  let brier = 0;
  let amongTop = 0;
  // Per bin: the sum of (correct - confidence). |sum| / samples is the bin's share times its gap.
  const gaps = new Float64Array(CALIBRATION_BINS);
  for (const [sample, label] of labels.entries()) {
    const start = sample * classes;
    const predicted = argmaxAt(logits, start, classes);
    const max = logits[start + predicted]!;
    const sum = sumExp(logits, start, classes, max);
    const confidence = 1 / sum;
    let squares = 0;
    for (let k = 0; k < classes; k++) {
      const probability = Math.exp(logits[start + k]! - max) / sum;
      squares += (k === label ? 1 - probability : probability) ** 2;
    }
    brier += squares;
    if (rankOf(label, logits, start, classes) < TOP) amongTop++;
    const hit = predicted === label ? 1 : 0;
    correct += hit;
    nll += Math.log(sum) + max - logits[start + label]!;
    gaps[binOf(confidence)]! += hit - confidence;
  }
  const accuracy = correct / labels.length;
  const top5 = classes > TOP ? { top5: amongTop / labels.length } : {};
  if (Number.isNaN(nll)) return { accuracy, nll: Number.MAX_VALUE, ece: 1, brier: 2, ...top5 };
  const ece = gaps.reduce((sum, gap) => sum + Math.abs(gap), 0);
  return {
    accuracy,
    nll: Math.min(Number.MAX_VALUE, nll / labels.length),
    ece: ece / labels.length,
    // Rounding must not lift it above its bound, which the protocol checks.
    brier: Math.min(2, brier / labels.length),
    ...top5,
  };
}

/** Samples in each peer's `[samples, classes]` logits; all peers must have the same. */
function countSamples(logitsOfPeers: readonly Float32Array[], classes: number): number {
  const length = logitsOfPeers[0]?.length ?? 0;
  if (length === 0 || length % classes !== 0) {
    throw new ShapeError(`Expected at least one row of ${classes} logits a peer, got ${length} logits.`);
  }
  for (const [peer, logits] of logitsOfPeers.entries()) {
    if (logits.length !== length) {
      throw new ShapeError(
        `Expected equally many logits of every peer: the first has ${length}, number ${peer + 1} has ${logits.length}.`,
      );
    }
  }
  return length / classes;
}

/**
 * Share of samples on which two trainings predict different classes: churn (Anil et al. 2018, arXiv 1804.03235).
 *
 * @param ours `[samples, classes]`, as `theirs`
 */
export function churn(ours: Float32Array, theirs: Float32Array, classes: number): number {
  return 1 - agreement([ours, theirs], classes)!;
}

/**
 * Share of samples on which two peers predict the same class, mean over all pairs of peers.
 *
 * @param logitsOfPeers one `[samples, classes]` array a peer
 * @returns 0-1, or null with fewer than two peers
 */
export function agreement(logitsOfPeers: readonly Float32Array[], classes: number): number | null {
  const peers = logitsOfPeers.length;
  if (peers < 2) return null;
  const samples = countSamples(logitsOfPeers, classes);
  let equalPairs = 0;
  const votes = new Uint32Array(classes);
  for (let start = 0; start < samples * classes; start += classes) {
    votes.fill(0);
    // A vote joins as many pairs as there were equal votes before it.
    for (const logits of logitsOfPeers) equalPairs += votes[argmaxAt(logits, start, classes)]!++;
  }
  return equalPairs / (samples * ((peers * (peers - 1)) / 2));
}
