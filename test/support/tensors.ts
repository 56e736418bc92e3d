import * as tf from '@tensorflow/tfjs';
import { expect } from 'vitest';

/** Fails unless every element agrees within `tolerance`, relative to the largest magnitude of `expected` (or 1). */
export function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  let scale = 1;
  for (let i = 0; i < expected.length; i++) scale = Math.max(scale, Math.abs(expected[i]!));
  let worst = 0;
  let at = 0;
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(actual[i]! - expected[i]!);
    if (!(difference <= worst)) {
      worst = difference;
      at = i;
    }
  }
  expect(
    worst / scale,
    `worst at index ${at}: got ${actual[at]}, expected ${expected[at]}`,
  ).toBeLessThanOrEqual(tolerance);
}

/** Fails when `work` leaves more or fewer tensors behind than it found. */
export async function expectNoLeak(work: () => void | Promise<void>): Promise<void> {
  const before = tf.memory().numTensors;
  await work();
  expect(tf.memory().numTensors - before, 'tensors left behind').toBe(0);
}

/** A tensor `[rows, classes]` of these values. */
export function rowsOf(values: readonly number[], classes: number): tf.Tensor2D {
  return tf.tensor2d([...values], [values.length / classes, classes]);
}

/** The values of `f` at the rows of `x`. */
export function valuesOf(f: (x: tf.Tensor2D) => tf.Tensor, x: readonly number[], classes: number): number[] {
  return tf.tidy(() => [...f(rowsOf(x, classes)).dataSync()]);
}

/** The gradient, with respect to `x`, of the sum of the values of `f`, as TensorFlow.js derives it. */
export function gradientOf(
  f: (x: tf.Tensor2D) => tf.Tensor,
  x: readonly number[],
  classes: number,
): number[] {
  return tf.tidy(() => [
    ...tf
      .grad((z) => tf.sum(f(z as tf.Tensor2D)))(rowsOf(x, classes))
      .dataSync(),
  ]);
}
