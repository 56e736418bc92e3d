import { describe, expect, it } from 'vitest';
import { LEAST_ARGUMENT, LogarithmRow, negativeExponential } from '../../src/ensemble/elementary.ts';
import { createRandom } from '../../src/random.ts';

describe('negativeExponential', () => {
  it('agrees with Math.exp to within 1e-9, relatively', () => {
    const random = createRandom(1, 'exp');
    for (let i = 0; i < 20_000; i++) {
      const x = random.uniform() * 44;
      expect(Math.abs(negativeExponential(x) / Math.exp(-x) - 1)).toBeLessThan(1e-9);
    }
  });

  it('is 1 at 0, and 0 where the exponential is below 2^-64', () => {
    expect(negativeExponential(0)).toBe(1);
    expect(negativeExponential(64 * Math.LN2 + 1e-6)).toBe(0);
    expect(negativeExponential(1e300)).toBe(0);
    expect(negativeExponential(64 * Math.LN2 - 1e-6)).toBeGreaterThan(0);
  });
});

describe('LogarithmRow', () => {
  it('agrees with Math.log to within 1e-9', () => {
    const random = createRandom(1, 'log');
    const row = new LogarithmRow(1);
    for (let i = 0; i < 20_000; i++) {
      const x = 2 ** (random.uniform() * 56 - 40);
      row.values[0] = x;
      expect(Math.abs(row.logarithm(0) - Math.log(x))).toBeLessThan(1e-9);
    }
  });

  it('takes both ends of its range', () => {
    const row = new LogarithmRow(2);
    row.values.set([LEAST_ARGUMENT, 65_535.999]);
    expect(row.logarithm(0)).toBeCloseTo(-40 * Math.LN2, 8);
    expect(row.logarithm(1)).toBeCloseTo(16 * Math.LN2, 7);
  });
});
