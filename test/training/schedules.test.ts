import { describe, expect, it } from 'vitest';
import { learningRateAt, weightDecayShareAt } from '../../src/training/schedules.ts';

const TOTAL = 110;
const cosine = { peak: 0.4, schedule: 'cosine', warmUpSteps: 10, epochs: 11 } as const;
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

  it('is multiplied at each milestone of the schedule step, from the first step of the epoch on', () => {
    const step = { ...cosine, schedule: 'step', milestones: [5, 8] } as const;
    const rate = rates({ ...step, decayFactor: 0.5 });
    expect([rate[9], rate[10], rate[49], rate[50], rate[79], rate[80], rate[109]]).toEqual([
      ...[(0.4 * 10) / 11, 0.4, 0.4, 0.2, 0.2, 0.1, 0.1],
    ]);
    expect(rates(step)[50]).toBeCloseTo(0.04, 12);
  });

  it('takes a milestone within the warm-up as passed once it is over', () => {
    const rate = rates({ ...cosine, schedule: 'step', milestones: [1], warmUpSteps: 15 });
    expect(rate[14]).toBeCloseTo((0.4 * 15) / 16, 12);
    expect(rate[15]).toBeCloseTo(0.04, 12);
  });
});

describe('the share of the weight decay', () => {
  const shareAt = (step: number, weightDecaySchedule: 'constant' | 'milestones') =>
    weightDecayShareAt(step, TOTAL, {
      epochs: 11,
      milestones: [5, 8, 10],
      optimizer: { weightDecaySchedule },
    });

  it('is all of it on a constant schedule', () => {
    expect([0, 50, 109].map((step) => shareAt(step, 'constant'))).toEqual([1, 1, 1]);
  });

  it('is a tenth from the first milestone on, and nothing from the second on', () => {
    const steps = [0, 49, 50, 79, 80, 100, 109];
    expect(steps.map((step) => shareAt(step, 'milestones'))).toEqual([1, 1, 0.1, 0.1, 0, 0, 0]);
  });
});
