import { describe, expect, it } from 'vitest';
import { distillationShareAt } from '../../src/exchange/distillationWeight.ts';

type Options = Parameters<typeof distillationShareAt>[2];

const shares = (steps: number, options: Partial<Options>) =>
  Array.from({ length: steps }, (_, step) =>
    distillationShareAt(step, steps, { burnInSteps: 0, rampUpSteps: 0, rampUpShape: 'linear', ...options }),
  );

describe('the share of the distillation weight', () => {
  it('is 0 in the burn-in, grows in equal steps, and stays at 1', () => {
    const actual = shares(9, { burnInSteps: 3, rampUpSteps: 3 });
    expect(actual).toEqual([0, 0, 0, 1 / 4, 2 / 4, 3 / 4, 1, 1, 1]);
  });

  it('is whole at once after a burn-in without a ramp', () => {
    expect(shares(4, { burnInSteps: 2, rampUpSteps: 0 })).toEqual([0, 0, 1, 1]);
  });

  it('is above 0 from the first step on without a burn-in, so that the first exchange counts', () => {
    expect(shares(3, { burnInSteps: 0, rampUpSteps: 1 })).toEqual([0.5, 1, 1]);
    expect(shares(2, { burnInSteps: 0, rampUpSteps: 0 })).toEqual([1, 1]);
  });

  const SHAPES = ['linear', 'sigmoid', 'cosine', 'growth'] as const;

  it.each(SHAPES)(
    'is 0 in the burn-in, then above 0 and never less than before, and 1 at last: %s',
    (shape) => {
      const actual = shares(20, { burnInSteps: 5, rampUpSteps: 9, rampUpShape: shape });
      expect(actual.slice(0, 5)).toEqual([0, 0, 0, 0, 0]);
      for (let step = 5; step < 20; step++) {
        expect(actual[step], `step ${step}`).toBeGreaterThan(step === 5 ? 0 : actual[step - 1]! - 1e-12);
      }
      expect(actual.at(-1)).toBe(1);
      expect(actual.indexOf(1)).toBe(shape === 'growth' ? 19 : 14);
    },
  );

  it('follows exp(-5 (1 - x)²) along a sigmoid', () => {
    const actual = shares(12, { burnInSteps: 2, rampUpSteps: 9, rampUpShape: 'sigmoid' });
    expect(actual.slice(2, 4)).toEqual([Math.exp(-5 * 0.9 ** 2), Math.exp(-5 * 0.8 ** 2)]);
    expect(actual[6]).toBeCloseTo(Math.exp(-1.25), 12);
  });

  it('follows half a cosine', () => {
    const actual = shares(8, { rampUpSteps: 3, rampUpShape: 'cosine' });
    for (const [step, share] of [(1 - Math.SQRT1_2) / 2, 0.5, (1 + Math.SQRT1_2) / 2, 1, 1].entries()) {
      expect(actual[step]).toBeCloseTo(share, 12);
    }
  });

  it('grows to the end of the training, however long the ramp', () => {
    const actual = shares(10, { burnInSteps: 5, rampUpSteps: 1, rampUpShape: 'growth' });
    expect(actual.slice(5)).toEqual([0.2, 0.4, 0.6, 0.8, 1]);
  });

  it.each(['linear', 'sigmoid', 'cosine'] as const)('is whole at once without a ramp: %s', (rampUpShape) => {
    expect(shares(3, { burnInSteps: 1, rampUpShape })).toEqual([0, 1, 1]);
  });
});
