/**
 * Plain float64 arithmetic, straight from the definitions: what tests compare the product's tensors with. Tensors
 * `[rows, classes]` are row-major lists.
 */
import { createRandom } from '../../src/random.ts';

/** Seeded normal numbers, rounded to float32 so that the product and the reference start from the same ones. */
export function normals(length: number, scale: number, key: string): number[] {
  const random = createRandom(0, key);
  return Array.from({ length }, () => Math.fround(scale * random.normal()));
}

/** `softmax(z / temperature)` of every row. */
export function softmax(z: ArrayLike<number>, classes: number, temperature = 1): number[] {
  return logSoftmax(z, classes, temperature).map(Math.exp);
}

/** `log softmax(z / temperature)` of every row. */
export function logSoftmax(z: ArrayLike<number>, classes: number, temperature = 1): number[] {
  const rows = Array.from({ length: z.length / classes }, (_, row) =>
    Array.from({ length: classes }, (_, c) => z[row * classes + c]! / temperature),
  );
  return rows.flatMap((row) => {
    const largest = Math.max(...row);
    const normaliser = largest + Math.log(sumOf(row.map((value) => Math.exp(value - largest))));
    return row.map((value) => value - normaliser);
  });
}

/** `-log softmax(z)[label]` of every row. */
export function crossEntropies(z: ArrayLike<number>, classes: number, labels: readonly number[]): number[] {
  const logProbabilities = logSoftmax(z, classes);
  return labels.map((label, row) => -logProbabilities[row * classes + label]!);
}

/** `KL(softmax(teacher / T) || softmax(student / T))` of every row, without the factor `T²`. */
export function divergences(
  student: ArrayLike<number>,
  teacher: ArrayLike<number>,
  classes: number,
  temperature: number,
): number[] {
  const logQ = logSoftmax(student, classes, temperature);
  const terms = logSoftmax(teacher, classes, temperature).map(
    (logP, i) => Math.exp(logP) * (logP - logQ[i]!),
  );
  return Array.from({ length: terms.length / classes }, (_, row) =>
    sumOf(terms.slice(row * classes, (row + 1) * classes)),
  );
}

/** The gradient of `f` by central differences; its error is below 1e-7 for functions of moderate third derivatives. */
export function numericGradient(f: (x: readonly number[]) => number, at: readonly number[]): number[] {
  const step = 1e-4;
  return at.map((value, i) => (f(at.with(i, value + step)) - f(at.with(i, value - step))) / (2 * step));
}

/** The mean of several lists, element by element. */
export function meanOfLists(lists: readonly ArrayLike<number>[]): number[] {
  return Array.from(lists[0]!, (_, i) => sumOf(lists.map((list) => list[i]!)) / lists.length);
}

export function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

/** The Euclidean length of a vector. */
export function normOf(values: readonly number[]): number {
  return Math.hypot(...values);
}
