import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadBackend } from '../../src/backend/select.ts';
import { standardised } from '../../src/distill/standardised.ts';
import { normals, numericGradient, sumOf } from '../support/numeric.ts';
import { expectClose, expectNoLeak, gradientOf, rowsOf, valuesOf } from '../support/tensors.ts';

beforeAll(async () => {
  await loadBackend('wasm');
});

const CLASSES = 5;
const logits = normals(4 * CLASSES, 3, 'standardised');

/** The formula in float64: `(z - mean) / (1e-7 + std)` of every row, `std` as `torch.std` has it. */
function reference(z: readonly number[]): number[] {
  return Array.from({ length: z.length / CLASSES }, (_, row) =>
    z.slice(row * CLASSES, (row + 1) * CLASSES),
  ).flatMap((values) => {
    const mean = sumOf(values) / CLASSES;
    const std = Math.sqrt(sumOf(values.map((value) => (value - mean) ** 2)) / (CLASSES - 1));
    return values.map((value) => (value - mean) / (1e-7 + std));
  });
}

/** A scalar for each element that tells them apart. */
const WEIGHTS = normals(4 * CLASSES, 1, 'weights');
const weighed = (z: tf.Tensor2D) => tf.mul(standardised(z), rowsOf(WEIGHTS, CLASSES));

describe('standardised logits', () => {
  it('are those of PyTorch, whose standard deviation is that of a sample', () => {
    // z = torch.tensor([[1., 2, 4, -3]]); (z - z.mean(1, keepdim=True)) / (1e-7 + z.std(1, keepdim=True))
    expectClose(valuesOf(standardised, [1, 2, 4, -3], 4), [0, 0.3396831, 1.0190493, -1.3587324], 1e-6);
  });

  it('are those of the formula', () => {
    expectClose(valuesOf(standardised, logits, CLASSES), reference(logits), 1e-6);
  });

  it('have the gradient of central differences', () => {
    const numeric = numericGradient(
      (z) => sumOf(reference(z).map((value, i) => value * WEIGHTS[i]!)),
      logits,
    );
    expectClose(gradientOf(weighed, logits, CLASSES), numeric, 1e-5);
  });

  it('do not change when logits are scaled or shifted', () => {
    for (const [scale, shift] of [
      [0.01, 0],
      [100, 0],
      [3, 50],
    ] as const) {
      const other = logits.map((value) => scale * value + shift);
      expectClose(valuesOf(standardised, other, CLASSES), valuesOf(standardised, logits, CLASSES), 2e-5);
    }
  });

  it.each([0, 1, -7.3, 1e-20, 12345.678, 1e30])('of equal logits are 0, without a gradient: %d', (value) => {
    const equal = new Array<number>(4 * CLASSES).fill(value);
    expect(valuesOf(standardised, equal, CLASSES).every((each) => each === 0)).toBe(true);
    expect(gradientOf(weighed, equal, CLASSES).every((each) => each === 0)).toBe(true);
  });

  it('of a row of equal ones do not disturb the other rows', () => {
    const mixed = logits.map((value, i) => (i < CLASSES ? 2 : value));
    const [values, gradient] = [valuesOf(standardised, mixed, CLASSES), gradientOf(weighed, mixed, CLASSES)];
    expectClose(values.slice(CLASSES), reference(logits).slice(CLASSES), 1e-6);
    expectClose(gradient.slice(CLASSES), gradientOf(weighed, logits, CLASSES).slice(CLASSES), 1e-6);
    expect(gradient.slice(0, CLASSES)).toEqual([0, 0, 0, 0, 0]);
  });

  it('of many equal classes are 0, though their mean is rounded', () => {
    const equal = new Array<number>(1000).fill(0.1);
    expect(valuesOf(standardised, equal, 1000).every((each) => each === 0)).toBe(true);
  });

  it('leaves one tensor behind, its result', async () => {
    const z = rowsOf(logits, CLASSES);
    await expectNoLeak(() => standardised(z).dispose());
  });
});
