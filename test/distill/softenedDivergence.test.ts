import type { Tensor1D, Tensor2D } from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadBackend } from '../../src/backend/select.ts';
import { softenedDivergence } from '../../src/distill/softenedDivergence.ts';
import { leaveOneOut } from '../../src/ensemble/meanProbabilities.ts';
import { divergences, meanOfLists, normals, normOf, numericGradient, sumOf } from '../support/numeric.ts';
import { expectClose, expectNoLeak, gradientOf, rowsOf, valuesOf } from '../support/tensors.ts';

beforeAll(async () => {
  await loadBackend('wasm');
});

const ROWS = 4;
const CLASSES = 6;
const student = normals(ROWS * CLASSES, 2, 'student');
const teacher = normals(ROWS * CLASSES, 2, 'teacher');

/** The loss against a fixed teacher, as a function of the student. */
const towards =
  (target: readonly number[], temperature: number, classes = CLASSES) =>
  (z: Tensor2D): Tensor1D =>
    softenedDivergence(z, rowsOf(target, classes), temperature);

/** Rows with classes that have no share in anything. */
const widened = (values: readonly number[]): number[] =>
  Array.from({ length: ROWS }, (_, row) => [
    ...values.slice(row * CLASSES, (row + 1) * CLASSES),
    ...[-1e4, -1e4],
  ]).flat();

describe('the softened divergence', () => {
  it('goes from the teacher to the student, not the other way round', () => {
    const [sure, even] = [[0.9, 0.1].map(Math.log), [0.5, 0.5].map(Math.log)];
    // 0.9 ln(0.9/0.5) + 0.1 ln(0.1/0.5), and 0.5 ln(0.5/0.9) + 0.5 ln(0.5/0.1).
    expectClose(valuesOf(towards(sure, 1, 2), even, 2), [0.3680642], 1e-6);
    expectClose(valuesOf(towards(even, 1, 2), sure, 2), [0.5108256], 1e-6);
  });

  it('is T² times the divergence of the probabilities softened by T', () => {
    // At T = 2 the square roots of 0.9 and 0.1 count: 3 to 1, so p = (3/4, 1/4); q = (1/2, 1/2).
    const [sure, even] = [[0.9, 0.1].map(Math.log), [0, 0]];
    expectClose(valuesOf(towards(sure, 2, 2), even, 2), [4 * (0.75 * Math.log(1.5) - 0.25 * Math.LN2)], 1e-6);
  });

  it.each([0.5, 1, 2, 4, 8])('agrees with its definition in float64 at T = %d', (T) => {
    const expected = divergences(student, teacher, CLASSES, T).map((value) => T * T * value);
    expectClose(valuesOf(towards(teacher, T), student, CLASSES), expected, 2e-6);
  });

  it.each([0.5, 1, 2, 4, 8])('has the gradient of central differences at T = %d', (T) => {
    const numeric = numericGradient((z) => T * T * sumOf(divergences(z, teacher, CLASSES, T)), student);
    expectClose(gradientOf(towards(teacher, T), student, CLASSES), numeric, 2e-6);
  });

  it.each([1, 4])('of a student that agrees with its teacher is 0, with no gradient, at T = %d', (T) => {
    expectClose(valuesOf(towards(student, T), student, CLASSES), new Array(ROWS).fill(0), 1e-6);
    expectClose(gradientOf(towards(student, T), student, CLASSES), new Array(ROWS * CLASSES).fill(0), 1e-6);
  });

  it('keeps the size of its gradients from T = 1 to 8, where that of the divergence alone falls like 1/T²', () => {
    // Logits that are small against T, as the argument of Hinton et al. has them.
    const [z, target] = [student, teacher].map((values) => values.map((value) => value / 4)) as [
      number[],
      number[],
    ];
    const withFactor = (T: number) => normOf(gradientOf(towards(target, T), z, CLASSES));
    const without = (T: number) =>
      normOf(numericGradient((x) => sumOf(divergences(x, target, CLASSES, T)), z));
    for (const T of [2, 4, 8]) {
      const kept = withFactor(T) / withFactor(1);
      expect(kept, `T = ${T}`).toBeGreaterThan(0.85);
      expect(kept, `T = ${T}`).toBeLessThan(1.15);
      expect((without(T) / without(1)) * T * T, `T = ${T}`).toBeCloseTo(kept, 4);
    }
  });

  it('of a sample does not depend on the other samples of the batch', () => {
    const once = valuesOf(towards(teacher, 3), student, CLASSES);
    const twice = valuesOf(towards([...teacher, ...teacher], 3), [...student, ...student], CLASSES);
    expectClose(twice, [...once, ...once], 1e-7);
  });

  it('does not change when classes are added that nobody believes in', () => {
    const wider = valuesOf(towards(widened(teacher), 3, CLASSES + 2), widened(student), CLASSES + 2);
    expectClose(wider, valuesOf(towards(teacher, 3), student, CLASSES), 1e-6);
  });

  it('stays finite, and so does its gradient, where a softmax would be 0', () => {
    expectClose(valuesOf(towards([-1e4, 0], 1, 2), [0, -1e4], 2), [1e4], 1e-7);
    expectClose(gradientOf(towards([-1e4, 0], 1, 2), [0, -1e4], 2), [1, -1], 1e-7);
  });

  it.each([1, 2, 5])(
    'towards the mean of two teachers has the mean of the gradients towards each at T = %d',
    (T) => {
      const second = normals(ROWS * CLASSES, 2, 'second teacher');
      const students = [student, teacher, second].map((values) => Float32Array.from(values));
      const [target] = leaveOneOut(students, ROWS, CLASSES, T);
      const each = [teacher, second].map((one) => gradientOf(towards(one, T), student, CLASSES));
      expectClose(gradientOf(towards([...target!], T), student, CLASSES), meanOfLists(each), 2e-6);
    },
  );

  it('leaves one tensor behind, its result', async () => {
    const [z, target] = [rowsOf(student, CLASSES), rowsOf(teacher, CLASSES)];
    await expectNoLeak(() => softenedDivergence(z, target, 2).dispose());
  });
});
