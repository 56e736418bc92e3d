import { describe, expect, it } from 'vitest';
import { leaveOneOut } from '../../src/ensemble/meanProbabilities.ts';
import { type CombiningKind, needsLabels, type TargetOptions, targets } from '../../src/ensemble/targets.ts';
import { ShapeError } from '../../src/errors.ts';
import { createRandom } from '../../src/random.ts';
import { crossEntropies, meanOfLists, softmax, sumOf } from '../support/numeric.ts';
import { expectClose } from '../support/tensors.ts';

const ROWS = 5;
const CLASSES = 7;
const LABELS = [0, 6, 3, 3, 1];
const KINDS = [
  'mean-probabilities',
  'mean-logits',
  'trimmed-mean',
  'median',
  'min-logit',
  'best',
  'linear',
  'weighted',
] as const;
/** Not in proportion to anything, and with a negative one, as KDCL-General may have them. */
const WEIGHTS = [0.5, -0.125, 1, 0.25, 2, 0.75, 0.375, 1.5];

function randomLogits(students: number, scale = 3): Float32Array[] {
  const random = createRandom(2, 'targets', students);
  return Array.from({ length: students }, () =>
    Float32Array.from({ length: ROWS * CLASSES }, () => random.normal() * scale),
  );
}

function optionsFor(students: number, includeSelf: boolean): TargetOptions {
  const weights = WEIGHTS.slice(0, students);
  return { rows: ROWS, classes: CLASSES, temperature: 2, includeSelf, labels: LABELS, weights };
}

const rowOf = (z: ArrayLike<number>, row: number): number[] =>
  Array.from({ length: CLASSES }, (_, c) => z[row * CLASSES + c]!);

/** For each class, the mean of those of the sorted probabilities that are kept; each row adds up to 1 again. */
function classByClass(z: Float32Array[], kept: (sorted: number[]) => number[]): number[] {
  const all = z.map((each) => softmax(each, CLASSES, 2));
  const means = all[0]!.map(
    (_, i) => meanOfLists(kept(all.map((p) => p[i]!).toSorted((a, b) => a - b)).map((p) => [p]))[0]!,
  );
  return means.map((value, i) => value / sumOf(rowOf(means, Math.floor(i / CLASSES))));
}

/** Probabilities of the naive definition at T = 2, for the rows of `teachers` with their weights. */
const naive: Record<Exclude<CombiningKind, 'linear'>, (z: Float32Array[], w: number[]) => number[]> = {
  'mean-probabilities': (z) => meanOfLists(z.map((each) => softmax(each, CLASSES, 2))),
  'mean-logits': (z) => softmax(meanOfLists(z), CLASSES, 2),
  'trimmed-mean': (z) => classByClass(z, (sorted) => (sorted.length < 3 ? sorted : sorted.slice(1, -1))),
  median: (z) =>
    classByClass(z, (sorted) => {
      const middle = (sorted.length - 1) / 2;
      return sorted.length < 3 ? sorted : [sorted[Math.floor(middle)]!, sorted[Math.ceil(middle)]!];
    }),
  weighted: (z, w) => {
    const total = w.reduce((sum, value) => sum + value, 0);
    const mixed = Array.from(z[0]!, (_, i) =>
      z.reduce((sum, each, k) => sum + (each[i]! * w[k]!) / total, 0),
    );
    return softmax(mixed, CLASSES, 2);
  },
  'min-logit': (z) =>
    LABELS.flatMap((label, row) => {
      const shifted = z.map((each) => rowOf(each, row).map((value, _, all) => value - all[label]!));
      return softmax(
        shifted[0]!.map((_, c) => Math.min(...shifted.map((each) => each[c]!))),
        CLASSES,
        2,
      );
    }),
  best: (z) =>
    LABELS.flatMap((label, row) => {
      const losses = z.map((each) => crossEntropies(rowOf(each, row), CLASSES, [label])[0]!);
      return softmax(rowOf(z[losses.indexOf(Math.min(...losses))]!, row), CLASSES, 2);
    }),
};

const without = <T>(items: readonly T[], i: number): T[] => items.filter((_, j) => j !== i);

describe.each(Object.entries(naive))('the ensemble %s', (kind, definition) => {
  it.each([2, 3, 5, 8])('of the others of %d students is that of its definition', (students) => {
    const logits = randomLogits(students);
    const result = targets(kind as CombiningKind, logits, optionsFor(students, false));
    expect(result).toHaveLength(students);
    for (const [i, target] of result.entries()) {
      const expected = definition(without(logits, i), without(WEIGHTS.slice(0, students), i));
      // Two students have each other, whatever their weights.
      expectClose(
        softmax(target, CLASSES, 2),
        students === 2 ? definition([logits[1 - i]!], [1]) : expected,
        1e-6,
      );
    }
  });

  it.each([1, 2, 3, 8])('of all of %d students is that of its definition, one for all', (students) => {
    const logits = randomLogits(students);
    const result = targets(kind as CombiningKind, logits, optionsFor(students, true));
    expect(result).toHaveLength(students);
    for (const target of result) expect(target).toBe(result[0]);
    expectClose(softmax(result[0]!, CLASSES, 2), definition(logits, WEIGHTS.slice(0, students)), 1e-6);
  });
});

describe.each(KINDS)('the ensemble %s', (kind) => {
  it.each([
    { students: 2, includeSelf: true },
    { students: 5, includeSelf: true },
    { students: 3, includeSelf: false },
    { students: 5, includeSelf: false },
    { students: 8, includeSelf: false },
  ])('gives the same bits in whatever order the students come: %o', ({ students, includeSelf }) => {
    const logits = randomLogits(students);
    const options = optionsFor(students, includeSelf);
    const expected = targets(kind, logits, options);
    const random = createRandom(3, 'order', students);
    for (let trial = 0; trial < 20; trial++) {
      const order = [...logits.keys()]
        .map((i) => [random.uniform(), i] as const)
        .sort()
        .map(([, i]) => i);
      const weights = order.map((i) => options.weights![i]!);
      const permuted = targets(
        kind,
        order.map((i) => logits[i]!),
        { ...options, weights },
      );
      for (const [position, i] of order.entries()) {
        expect(
          Buffer.compare(Buffer.from(permuted[position]!.buffer), Buffer.from(expected[i]!.buffer)),
        ).toBe(0);
      }
    }
  });

  it('has rows whose maximum is 0', () => {
    for (const includeSelf of [true, false]) {
      for (const target of targets(kind, randomLogits(4), optionsFor(4, includeSelf))) {
        for (let row = 0; row < ROWS; row++) expect(Math.max(...rowOf(target, row))).toBe(0);
      }
    }
  });

  it('of students that agree is what they say', () => {
    const [z] = randomLogits(1) as [Float32Array];
    for (const includeSelf of [true, false]) {
      for (const target of targets(kind, [z, z.slice(), z.slice()], optionsFor(3, includeSelf))) {
        expectClose(softmax(target, CLASSES), softmax(z, CLASSES), 1e-6);
      }
    }
  });

  it('does not change its arguments, and stays finite for huge logits', () => {
    const huge = randomLogits(4, 1e30);
    const before = huge.map((z) => z.slice());
    for (const includeSelf of [true, false]) {
      for (const target of targets(kind, huge, optionsFor(4, includeSelf))) {
        expect(target.every(Number.isFinite)).toBe(true);
      }
    }
    expect(huge).toEqual(before);
  });

  it('of the others needs others, and of any takes tensors of one size', () => {
    const [a, b] = randomLogits(2) as [Float32Array, Float32Array];
    expect(() => targets(kind, [a], optionsFor(1, false))).toThrow(ShapeError);
    expect(() => targets(kind, [], optionsFor(1, true))).toThrow(ShapeError);
    expect(() => targets(kind, [a, b.subarray(1)], optionsFor(2, true))).toThrow(ShapeError);
  });

  it('tells whether it needs labels', () => {
    const { labels: _, ...unlabelled } = optionsFor(3, false);
    const run = (options: TargetOptions) => () => targets(kind, randomLogits(3), options);
    if (needsLabels(kind)) {
      expect(run(unlabelled)).toThrow(`The ensemble ${kind} of 5 rows takes as many labels, got none.`);
      expect(run({ ...unlabelled, labels: [0, 0, 7, 0, 0] })).toThrow('label 7 of row 2 is not below 7.');
    } else {
      expect(run(unlabelled)).not.toThrow();
    }
  });
});

describe('the order of the students', () => {
  it.each(KINDS)('does not reach the bits of %s where sums and choices depend on it', (kind) => {
    // What float64 adds up to 0 or 1, as the order has it; and teachers that are equally good, but not equal.
    const [large, tied] = [
      [1e17, 1, -1e17, 3],
      [
        [0, 3, 0],
        [0, 0, 3],
        [0, 3, 0],
        [0, 0, 3],
      ],
    ];
    const contributions = [0, 1, 2, 3].map((k) => Float32Array.from([large[k]!, 0, 0, ...tied[k]!]));
    const options = { rows: 2, classes: 3, temperature: 1, labels: [0, 0] };
    for (const includeSelf of [true, false]) {
      const expected = targets(kind, contributions, { ...options, includeSelf });
      for (const order of [
        [3, 2, 1, 0],
        [2, 0, 3, 1],
        [1, 3, 0, 2],
        [0, 2, 1, 3],
      ]) {
        const moved = targets(
          kind,
          order.map((i) => contributions[i]!),
          { ...options, includeSelf },
        );
        for (const [position, i] of order.entries()) expect([...moved[position]!]).toEqual([...expected[i]!]);
      }
    }
  });
});

describe('the mean of probabilities', () => {
  it('of all floors probabilities at 2^-40, as that of the others does', () => {
    const certain = Float32Array.from([0, -1e30, -200]);
    const options = { rows: 1, classes: 3, temperature: 2, includeSelf: true };
    const [target] = targets('mean-probabilities', [certain, certain, certain], options);
    expectClose(target!, [0, -80 * Math.LN2, -80 * Math.LN2], 1e-6);
  });

  it('of the others is that of before', () => {
    const logits = randomLogits(4);
    const known = leaveOneOut(logits, ROWS, CLASSES, 2);
    for (const [i, target] of targets('mean-probabilities', logits, optionsFor(4, false)).entries()) {
      expectClose(target, known[i]!, 1e-6);
    }
  });
});

describe('the min-logit ensemble', () => {
  it('has no larger cross-entropy than any of its teachers', () => {
    const logits = randomLogits(5);
    const [target] = targets('min-logit', logits, optionsFor(5, true));
    const losses = crossEntropies(target!, CLASSES, LABELS);
    for (const z of logits) {
      for (const [row, loss] of crossEntropies(z, CLASSES, LABELS).entries()) {
        expect(losses[row]!).toBeLessThanOrEqual(loss + 1e-6);
      }
    }
  });
});

describe('the weighted ensemble', () => {
  it('without weights is the mean of the logits', () => {
    const options = { ...optionsFor(4, true), weights: undefined };
    const [weighted] = targets('weighted', randomLogits(4), options);
    const [mean] = targets('mean-logits', randomLogits(4), options);
    expectClose(weighted!, mean!, 1e-6);
  });

  it('counts all alike where the weights of the others add up to nothing', () => {
    const logits = randomLogits(3);
    const options = { ...optionsFor(3, false), weights: [1, 0, 0] };
    const [target] = targets('weighted', logits, options);
    expectClose(softmax(target!, CLASSES), softmax(meanOfLists(logits.slice(1)), CLASSES), 1e-6);
  });
});
