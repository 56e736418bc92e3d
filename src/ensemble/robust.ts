import { LEAST_ARGUMENT, LogarithmRow } from './elementary.ts';
import { softmax, writeLogits } from './meanProbabilities.ts';

export type RobustKind = 'trimmed-mean' | 'median';

/** Fewer teachers have no value that lies between those of others. */
export const LEAST_ROBUST_TEACHERS = 3;

/** Merges the sorted probabilities of one class, of which the one at `left` is left out. */
type Merge = (sorted: Float64Array, left: number) => number;

const merges: Readonly<Record<RobustKind, Merge>> = { 'trimmed-mean': trimmedMean, median };

/**
 * Ensembles that one teacher cannot take anywhere: for each class, the largest and the least of the teachers'
 * probabilities do not count (`trimmed-mean`), or only that in the middle does (`median`). The results are divided by
 * their sum, as they no longer add up to 1, and are given as logits `t` with `softmax(t / T)` these probabilities.
 *
 * With one teacher that lies, each class gets no more than the most, and no less than the least, that the honest ones
 * give it, before the division.
 *
 * Values are added up in the order of their size, so that it does not matter who said what.
 *
 * @param logits one `[rows, classes]` row-major tensor for each student, finite
 * @param includeSelf whether there is one target of all; else each student's is that of the others. At least
 *   {@link LEAST_ROBUST_TEACHERS} teach in either case.
 * @returns in the order of `logits`; a shared target is the same array for all
 * @see Yin et al., "Byzantine-robust distributed learning: towards optimal statistical rates", 2018, arXiv 1803.01498,
 *   definitions 1 and 2, there of gradients
 */
export function robustTargets(
  kind: RobustKind,
  logits: readonly Float32Array[],
  options: {
    readonly rows: number;
    readonly classes: number;
    readonly temperature: number;
    readonly includeSelf: boolean;
  },
): Float32Array<ArrayBuffer>[] {
  const { rows, classes, temperature, includeSelf } = options;
  const merge = merges[kind];
  const targets = (includeSelf ? [0] : logits).map(() => new Float32Array(rows * classes));
  const probabilities = logits.map(() => new Float64Array(classes));
  const merged = targets.map(() => new LogarithmRow(classes));
  const sorted = new Float64Array(logits.length);
  for (let row = 0; row < rows; row++) {
    for (const [j, z] of logits.entries()) softmax(z, row * classes, temperature, probabilities[j]!);
    for (let c = 0; c < classes; c++) {
      for (const [j, p] of probabilities.entries()) sorted[j] = p[c]!;
      sorted.sort();
      for (const [j, out] of merged.entries()) {
        const left = includeSelf ? sorted.length : sorted.indexOf(probabilities[j]![c]!);
        out.values[c] = merge(sorted, left);
      }
    }
    for (const [j, out] of merged.entries()) {
      writeLogits(out, normalise(out.values), temperature, targets[j]!, row * classes);
    }
  }
  return logits.map((_, j) => targets[includeSelf ? 0 : j]!);
}

function trimmedMean(sorted: Float64Array, left: number): number {
  const last = sorted.length - 1;
  const [least, largest] = [left === 0 ? 1 : 0, left === last ? last - 1 : last];
  let [sum, count] = [0, 0];
  for (let i = least + 1; i < largest; i++) {
    if (i === left) continue;
    sum += sorted[i]!;
    count += 1;
  }
  return sum / count;
}

function median(sorted: Float64Array, left: number): number {
  const count = left < sorted.length ? sorted.length - 1 : sorted.length;
  const at = (i: number): number => sorted[i < left ? i : i + 1]!;
  return (at((count - 1) >> 1) + at(count >> 1)) / 2;
}

/**
 * Divides by the sum, but leaves no value below that whose logarithm can be taken; all are alike where the sum is 0.
 *
 * @returns the class with the largest value
 */
function normalise(values: Float64Array): number {
  let [sum, likeliest] = [0, 0];
  for (let c = 0; c < values.length; c++) {
    sum += values[c]!;
    if (values[c]! > values[likeliest]!) likeliest = c;
  }
  for (let c = 0; c < values.length; c++) {
    values[c] = sum === 0 ? 1 : Math.max(LEAST_ARGUMENT, values[c]! / sum);
  }
  return likeliest;
}
