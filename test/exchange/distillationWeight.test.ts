import { describe, expect, it } from 'vitest';
import { distillationShareAt } from '../../src/exchange/distillationWeight.ts';

const shares = (steps: number, options: { burnInSteps: number; rampUpSteps: number }) =>
  Array.from({ length: steps }, (_, step) => distillationShareAt(step, options));

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
});
