import { describe, expect, it } from 'vitest';
import { leaveOneOut, meanOfAll } from '../../src/ensemble/meanProbabilities.ts';
import { ShapeError } from '../../src/errors.ts';
import { createRandom } from '../../src/random.ts';
import { meanOfLists, softmax as softmaxOf } from '../support/numeric.ts';
import { expectClose } from '../support/tensors.ts';

const ROWS = 5;
const CLASSES = 7;

function randomLogits(students: number, scale = 4, rows = ROWS, classes = CLASSES): Float32Array[] {
  const random = createRandom(1, 'logits', students);
  return Array.from({ length: students }, () =>
    Float32Array.from({ length: rows * classes }, () => random.normal() * scale),
  );
}

/** `softmax(z / temperature)` of every row. */
const softmax = (z: ArrayLike<number>, temperature: number, classes = CLASSES): number[] =>
  softmaxOf(z, classes, temperature);

const without = <T>(items: readonly T[], i: number) => items.filter((_, j) => j !== i);

describe('leaveOneOut', () => {
  it.each([2, 3, 4, 5, 6, 7, 8])('gives each of %d students the mean of the others', (students) => {
    const temperature = 2;
    const logits = randomLogits(students);
    const targets = leaveOneOut(logits, ROWS, CLASSES, temperature);
    expect(targets).toHaveLength(students);
    for (let i = 0; i < students; i++) {
      const naive = meanOfLists(without(logits, i).map((z) => softmax(z, temperature)));
      const actual = softmax(targets[i]!, temperature);
      expectClose(actual, naive, 1e-7);
      for (const [k, p] of actual.entries()) expect(p / naive[k]!).toBeCloseTo(1, 5);
    }
  });

  it('shifts each row so that its maximum is 0', () => {
    for (const students of [2, 3, 8]) {
      for (const target of leaveOneOut(randomLogits(students), ROWS, CLASSES, 3)) {
        for (let row = 0; row < ROWS; row++) {
          expect(Math.max(...target.subarray(row * CLASSES, (row + 1) * CLASSES))).toBe(0);
        }
      }
    }
  });

  it('is the known answer of the wire specification', () => {
    const students = [Float32Array.of(0, 1, 2), Float32Array.of(3, 0, 0), Float32Array.of(5, 5, 5)];
    expectClose(leaveOneOut(students, 1, 3, 2)[2]!, [0, -1.28589, -0.56797], 1e-5);
  });

  it('gives two students the logits of the other, at any temperature', () => {
    const [a, b] = randomLogits(2) as [Float32Array, Float32Array];
    for (const temperature of [1, 2, 5]) {
      const [ofA, ofB] = leaveOneOut([a, b], ROWS, CLASSES, temperature) as [Float32Array, Float32Array];
      expectClose(softmax(ofA, 1), softmax(b, 1), 1e-7);
      expectClose(softmax(ofB, 1), softmax(a, 1), 1e-7);
    }
  });

  it('has the gradient of the mean of the pairwise forward KL losses', () => {
    const temperature = 2;
    const logits = randomLogits(4);
    const target = leaveOneOut(logits, ROWS, CLASSES, temperature)[0]!;
    const q = softmax(logits[0]!, temperature);
    // d KL(p || q) / dz = (q - p) / T
    const gradient = (p: number[]) => q.map((value, k) => (value - p[k]!) / temperature);
    const pairwise = meanOfLists(without(logits, 0).map((z) => gradient(softmax(z, temperature))));
    expectClose(gradient(softmax(target, temperature)), pairwise, 1e-7);
  });

  it('follows the students when they change places', () => {
    const logits = randomLogits(5);
    const order = [3, 0, 4, 1, 2];
    const targets = leaveOneOut(logits, ROWS, CLASSES, 2);
    const permuted = leaveOneOut(
      order.map((j) => logits[j]!),
      ROWS,
      CLASSES,
      2,
    );
    for (const [place, j] of order.entries()) expectClose(permuted[place]!, targets[j]!, 1e-6);
  });

  it('gives equal bits for equal arguments', () => {
    expect(leaveOneOut(randomLogits(6), ROWS, CLASSES, 2)).toEqual(
      leaveOneOut(randomLogits(6), ROWS, CLASSES, 2),
    );
  });

  it('does not let huge logits of one student disturb the others', () => {
    const logits = randomLogits(4);
    logits[1] = logits[1]!.map((z) => z * 1e7);
    const targets = leaveOneOut(logits, ROWS, CLASSES, 2);
    for (const [i, target] of targets.entries()) {
      const naive = meanOfLists(without(logits, i).map((z) => softmax(z, 2)));
      expectClose(softmax(target, 2), naive, 1e-7);
      expect(target.every(Number.isFinite)).toBe(true);
    }
  });

  it('floors probabilities at 2^-40', () => {
    const certain = Float32Array.from([0, -1e30, -200]);
    const targets = leaveOneOut([certain, certain, certain], 1, 3, 2);
    expectClose(targets[0]!, [0, -80 * Math.LN2, -80 * Math.LN2], 1e-6);
  });

  it('does not change its arguments', () => {
    for (const students of [2, 3]) {
      const logits = randomLogits(students);
      leaveOneOut(logits, ROWS, CLASSES, 2);
      expect(logits).toEqual(randomLogits(students));
    }
  });

  it('takes as many students as a run may have', () => {
    const logits = randomLogits(1024, 2, 1, 3);
    const targets = leaveOneOut(logits, 1, 3, 1);
    const naive = meanOfLists(without(logits, 511).map((z) => softmax(z, 1, 3)));
    expectClose(softmax(targets[511]!, 1, 3), naive, 1e-7);
  });

  it('refuses a single student, and tensors of another size', () => {
    const [a, b] = randomLogits(2) as [Float32Array, Float32Array];
    expect(() => leaveOneOut([a], ROWS, CLASSES, 2)).toThrow(ShapeError);
    expect(() => leaveOneOut([a, b.subarray(1)], ROWS, CLASSES, 2)).toThrow(
      'Prediction 1 of the ensemble: a tensor [5, 7] has 35 values, got 34.',
    );
  });
});

describe('meanOfAll', () => {
  it('is the logarithm of the mean of the probabilities', () => {
    const logits = randomLogits(3);
    const naive = meanOfLists(logits.map((z) => softmax(z, 1)));
    const result = meanOfAll(logits, ROWS, CLASSES);
    expectClose(result, naive.map(Math.log), 1e-6);
    expectClose(softmax(result, 1), naive, 1e-6);
  });

  it('of one peer has its probabilities', () => {
    const [a] = randomLogits(1) as [Float32Array];
    expectClose(softmax(meanOfAll([a], ROWS, CLASSES), 1), softmax(a, 1), 1e-7);
  });

  it('tells improbable classes apart where a mean of probabilities would be 0', () => {
    const result = meanOfAll(
      [Float32Array.from([0, -900, -1000]), Float32Array.from([0, -900, -1000])],
      1,
      3,
    );
    expectClose(result, [0, -900, -1000], 1e-7);
  });

  it('refuses no predictions at all', () => {
    expect(() => meanOfAll([], ROWS, CLASSES)).toThrow(ShapeError);
  });
});
