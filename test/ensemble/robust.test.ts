import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type TargetOptions, targets } from '../../src/ensemble/targets.ts';
import { meanOfLists, softmax } from '../support/numeric.ts';
import { expectClose } from '../support/tensors.ts';

const KINDS = ['trimmed-mean', 'median'] as const;

/** One row of three classes, with these probabilities at temperature 1. */
const said = (...p: number[]): Float32Array => Float32Array.from(p, (each) => Math.log(each));
const shared: TargetOptions = { rows: 1, classes: 3, temperature: 1, includeSelf: true };
const others: TargetOptions = { ...shared, includeSelf: false };

const FOUR = [said(0.7, 0.2, 0.1), said(0.6, 0.3, 0.1), said(0.5, 0.25, 0.25), said(0.01, 0.01, 0.98)];

/** By hand, from the sorted probabilities of each class. */
const GOLDEN = {
  // 0.5 0.6 | 0.2 0.25 | 0.1 0.25: of all four, both are the mean of the two in the middle; their sum is 0.95.
  'of all': { 'trimmed-mean': [0.55, 0.225, 0.175], median: [0.55, 0.225, 0.175] },
  // Without the last: 0.5 0.6 0.7 | 0.2 0.25 0.3 | 0.1 0.1 0.25.
  'of the first three': { 'trimmed-mean': [0.6, 0.25, 0.1], median: [0.6, 0.25, 0.1] },
  // Without the first: 0.01 0.5 0.6 | 0.01 0.25 0.3 | 0.1 0.25 0.98.
  'of the last three': { 'trimmed-mean': [0.5, 0.25, 0.25], median: [0.5, 0.25, 0.25] },
};

const shareOf = (p: readonly number[]): number[] => p.map((each) => each / p.reduce((a, b) => a + b));

describe.each(KINDS)('the ensemble %s', (kind) => {
  it('has the values that a few teachers give by hand', () => {
    const [all] = targets(kind, FOUR, shared);
    expectClose(softmax(all!, 3), shareOf(GOLDEN['of all'][kind]), 1e-6);
    const apart = targets(kind, FOUR, others);
    expectClose(softmax(apart[3]!, 3), shareOf(GOLDEN['of the first three'][kind]), 1e-6);
    expectClose(softmax(apart[0]!, 3), shareOf(GOLDEN['of the last three'][kind]), 1e-6);
  });

  it('of fewer than three teachers is the mean of probabilities, bit for bit', () => {
    for (const [options, most] of [
      [shared, 2],
      [others, 3],
    ] as const) {
      for (let count = options.includeSelf ? 1 : 2; count <= most; count++) {
        const some = FOUR.slice(0, count);
        expect(targets(kind, some, options)).toEqual(targets('mean-probabilities', some, options));
      }
    }
  });

  it('of teachers of whom most are certain, each of another class, says nothing', () => {
    const certain = [0, 1, 2].map((at) => Float32Array.from([0, 1, 2], (c) => (c === at ? 1e9 : 0)));
    for (const includeSelf of [true, false]) {
      const all = includeSelf ? certain : [...certain, said(1 / 3, 1 / 3, 1 / 3)];
      expect([...targets(kind, all, { ...shared, includeSelf }).at(-1)!]).toEqual([0, 0, 0]);
    }
  });
});

describe('the trimmed mean', () => {
  it('differs from the median where more than two are left', () => {
    const five = [0.1, 0.2, 0.3, 0.8, 0.9].map((p) => said(p, 1 - p, 1e-9));
    const expected = shareOf([1.3 / 3, (0.8 + 0.7 + 0.2) / 3, 1e-9]);
    expectClose(softmax(targets('trimmed-mean', five, shared)[0]!, 3), expected, 1e-6);
    expectClose(softmax(targets('median', five, shared)[0]!, 3), shareOf([0.3, 0.7, 1e-9]), 1e-6);
  });
});

describe.each(KINDS)('for any teachers, %s', (kind) => {
  const CLASSES = 4;
  const logit = fc.float({ min: -12, max: 12, noNaN: true });
  const wild = fc.float({ min: Math.fround(-1e30), max: Math.fround(1e30), noNaN: true });
  const row = (value: fc.Arbitrary<number>): fc.Arbitrary<Float32Array> =>
    fc.array(value, { minLength: CLASSES, maxLength: CLASSES }).map((values) => Float32Array.from(values));
  const temperature = fc.constantFrom(1, 2, 4);
  const given = (t: number, includeSelf: boolean): TargetOptions => ({
    ...{ rows: 1, classes: CLASSES, temperature: t, includeSelf },
  });

  it('is the same whoever says what', () => {
    fc.assert(
      fc.property(fc.array(row(logit), { minLength: 3, maxLength: 7 }), temperature, (logits, t) => {
        const [of] = targets(kind, logits, given(t, true));
        expect(targets(kind, logits.toReversed(), given(t, true))[0]).toEqual(of);
        const apart = targets(kind, logits, given(t, false));
        expect(targets(kind, logits.toReversed(), given(t, false)).toReversed()).toEqual(apart);
      }),
      { seed: 1, numRuns: 60 },
    );
  });

  it('is what all say where they agree', () => {
    fc.assert(
      fc.property(row(logit), fc.integer({ min: 3, max: 6 }), temperature, (z, count, t) => {
        const all = Array.from({ length: count }, () => z.slice());
        expectClose(
          softmax(targets(kind, all, given(t, true))[0]!, CLASSES, t),
          softmax(z, CLASSES, t),
          1e-5,
        );
      }),
      { seed: 2, numRuns: 60 },
    );
  });

  it('lets one of them say what it will: no two classes get further apart than honest ones have them', () => {
    const least = 2 ** -40;
    fc.assert(
      fc.property(
        fc.array(row(logit), { minLength: 3, maxLength: 6 }),
        row(wild),
        temperature,
        (honest, liar, t) => {
          const p = honest.map((z) => softmax(z, CLASSES, t));
          const of = (pick: (...values: number[]) => number, c: number): number =>
            Math.max(least, pick(...p.map((each) => each[c]!)));
          for (const all of [
            [...honest, liar],
            [liar, ...honest],
          ]) {
            const [target] = targets(kind, all, given(t, true));
            for (let c = 0; c < CLASSES; c++) {
              for (let d = 0; d < CLASSES; d++) {
                const most = Math.log(of(Math.max, c)) - Math.log(of(Math.min, d));
                expect((target![c]! - target![d]!) / t).toBeLessThanOrEqual(
                  most + 1e-5 * (1 + Math.abs(most)),
                );
              }
            }
          }
        },
      ),
      { seed: 3, numRuns: 100 },
    );
  });

  it('differs from the mean, which the same liar takes where it wants', () => {
    const honest = [0, 1, 2].map(() => Float32Array.of(3, 0, 0, 0));
    const liar = Float32Array.of(0, 0, 0, 1e30);
    const share = (of: typeof kind | 'mean-probabilities'): number =>
      softmax(targets(of, [...honest, liar], given(1, true))[0]!, CLASSES)[3]!;
    expect(share('mean-probabilities')).toBeGreaterThan(0.25);
    expect(share(kind)).toBeCloseTo(meanOfLists(honest.map((z) => softmax(z, CLASSES)))[3]!, 5);
  });
});
