import type { EnsembleKind } from '../distill/types.ts';
import { ShapeError } from '../errors.ts';
import { best, type CombineRow, meanLogits, minLogit, type Teacher, weightedLogits } from './combine.ts';
import { linear } from './linear.ts';
import { expectTensors, leaveOneOut, meanTarget } from './meanProbabilities.ts';
import { LEAST_ROBUST_TEACHERS, type RobustKind, robustTargets } from './robust.ts';

/** The ensembles that make one target of several predictions. */
export type CombiningKind = Exclude<EnsembleKind, 'apart'>;

export interface TargetOptions {
  readonly rows: number;
  readonly classes: number;
  /** Divides logits before a softmax; for the ensembles of probabilities alone. */
  readonly temperature: number;
  /** Whether a target counts the student's own predictions in: then all students have the same one. */
  readonly includeSelf: boolean;
  /** True classes of the rows, for the ensembles of {@link needsLabels}. */
  readonly labels?: ArrayLike<number> | undefined;
  /** Of the contributions, for `weighted`; equal ones when absent. */
  readonly weights?: readonly number[] | undefined;
}

const rowwise: Readonly<Record<Exclude<CombiningKind, 'mean-probabilities' | RobustKind>, CombineRow>> = {
  'mean-logits': meanLogits,
  'min-logit': minLogit,
  best,
  linear,
  weighted: weightedLogits,
};

/** Whether targets can only be made knowing the true classes. */
export function needsLabels(kind: EnsembleKind): boolean {
  return kind === 'min-logit' || kind === 'best' || kind === 'linear';
}

/**
 * The target of each student, as teacher logits: what the others predict, or what all do, made into one. The maximum of
 * each row is 0.
 *
 * Sums run in float64, and in an order that depends on what is predicted and not on who predicts it: the same
 * predictions give each student the same bits, in whatever order the students come. Takes a time that grows with the
 * square of their number, unless it is the mean of probabilities or all share one target. Of fewer than three teachers,
 * `trimmed-mean` and `median` are the mean of probabilities.
 *
 * @param contributions one `[rows, classes]` row-major tensor for each student, finite. For students that teach nobody
 *   and learn from these, their target is that with `includeSelf`.
 * @returns in the order of the contributions; a shared target is the same array for all
 * @throws {ShapeError} for too few contributions, or ones of another size; for missing labels
 */
export function targets(
  kind: CombiningKind,
  contributions: readonly Float32Array[],
  options: TargetOptions,
): Float32Array<ArrayBuffer>[] {
  const { rows, classes, temperature, includeSelf, weights } = options;
  expectTensors(contributions, includeSelf ? 1 : 2, rows, classes);
  const order = [...contributions.keys()].sort(
    (i, j) =>
      compareTensors(contributions[i]!, contributions[j]!) || (weights?.[i] ?? 1) - (weights?.[j] ?? 1),
  );
  const logits = order.map((i) => contributions[i]!);
  const place = (sorted: readonly Float32Array<ArrayBuffer>[]) =>
    contributions.map((_, i) => sorted[order.indexOf(i)]!);

  const teaching = contributions.length - (includeSelf ? 0 : 1);
  const robust = kind === 'trimmed-mean' || kind === 'median';
  if (robust && teaching >= LEAST_ROBUST_TEACHERS) {
    return place(robustTargets(kind, logits, { rows, classes, temperature, includeSelf }));
  }
  if (robust || kind === 'mean-probabilities') {
    if (!includeSelf) return place(leaveOneOut(logits, rows, classes, temperature));
    const shared = meanTarget(logits, rows, classes, temperature);
    return contributions.map(() => shared);
  }
  const labels = needsLabels(kind) ? checkedLabels(kind, options) : null;
  const combine = rowwise[kind];
  const teachers = order.map((i): Teacher => ({ logits: contributions[i]!, weight: weights?.[i] ?? 1 }));
  const combined = (some: readonly Teacher[]) => combineRows(combine, some, labels, rows, classes);
  if (!includeSelf)
    return place(teachers.map((self) => combined(teachers.filter((other) => other !== self))));
  const shared = combined(teachers);
  return contributions.map(() => shared);
}

function combineRows(
  combine: CombineRow,
  teachers: readonly Teacher[],
  labels: ArrayLike<number> | null,
  rows: number,
  classes: number,
): Float32Array<ArrayBuffer> {
  const target = new Float32Array(rows * classes);
  const combined = new Float64Array(classes);
  for (let row = 0; row < rows; row++) {
    const start = row * classes;
    combine(teachers, start, labels?.[row] ?? -1, combined);
    let largest = -Infinity;
    for (let c = 0; c < classes; c++) largest = Math.max(largest, combined[c]!);
    for (let c = 0; c < classes; c++) target[start + c] = combined[c]! - largest;
  }
  return target;
}

function checkedLabels(kind: CombiningKind, { labels, rows, classes }: TargetOptions): ArrayLike<number> {
  if (labels?.length !== rows) {
    throw new ShapeError(
      `The ensemble ${kind} of ${rows} rows takes as many labels, got ${labels?.length ?? 'none'}.`,
    );
  }
  for (let row = 0; row < rows; row++) {
    if (labels[row]! < classes) continue;
    throw new ShapeError(`The ensemble ${kind}: label ${labels[row]} of row ${row} is not below ${classes}.`);
  }
  return labels;
}

/** By the first value that differs. */
function compareTensors(a: Float32Array, b: Float32Array): number {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return 0;
}
