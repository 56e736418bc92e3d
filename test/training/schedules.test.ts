import { describe, expect, it } from 'vitest';
import { learningRateAt } from '../../src/training/schedules.ts';

const TOTAL = 110;
const cosine = { peak: 0.4, schedule: 'cosine', warmUpSteps: 10 } as const;
const rates = (options: Parameters<typeof learningRateAt>[2]) =>
  Array.from({ length: TOTAL }, (_, step) => learningRateAt(step, TOTAL, options));

describe('the learning rate', () => {
  it('grows linearly to the peak over the warm-up, and is never 0', () => {
    const rate = rates(cosine);
    for (let step = 0; step <= 10; step++) {
      expect(rate[step], `step ${step}`).toBeCloseTo((0.4 * (step + 1)) / 11, 12);
    }
    expect(rate[10]).toBe(0.4);
  });

  it('falls along half a cosine after the peak', () => {
    const rate = rates(cosine);
    // A quarter, a half and three quarters of the 100 steps that follow the warm-up.
    expect(rate[35]).toBeCloseTo(0.2 * (1 + Math.SQRT1_2), 12);
    expect(rate[60]).toBeCloseTo(0.2, 12);
    expect(rate[85]).toBeCloseTo(0.2 * (1 - Math.SQRT1_2), 12);
  });

  it('still moves the weights in the last step, and is 0 from the end on', () => {
    expect(rates(cosine)[TOTAL - 1]).toBeCloseTo(0.2 * (1 - Math.cos(Math.PI / 100)), 12);
    expect(rates(cosine)[TOTAL - 1]).toBeGreaterThan(0);
    expect(learningRateAt(TOTAL, TOTAL, cosine)).toBeCloseTo(0, 12);
    expect(learningRateAt(2 * TOTAL, TOTAL, cosine)).toBeCloseTo(0, 12);
  });

  it('begins at the peak without a warm-up', () => {
    expect(learningRateAt(0, TOTAL, { ...cosine, warmUpSteps: 0 })).toBe(0.4);
  });

  it('stays at the peak on a constant schedule', () => {
    const rate = rates({ ...cosine, schedule: 'constant' });
    expect(rate[0]).toBeCloseTo(0.4 / 11, 12);
    expect(new Set(rate.slice(10))).toEqual(new Set([0.4]));
  });

  it('is a number even when the warm-up takes all steps', () => {
    const options = { ...cosine, warmUpSteps: TOTAL };
    expect(learningRateAt(TOTAL - 1, TOTAL, options)).toBeCloseTo((0.4 * TOTAL) / (TOTAL + 1), 12);
    expect(learningRateAt(TOTAL, TOTAL, options)).toBe(0.4);
  });
});
