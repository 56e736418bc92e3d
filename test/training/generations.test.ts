import { describe, expect, it } from 'vitest';
import { getMethod } from '../../src/distill/index.ts';
import { createObjective } from '../../src/distill/objective.ts';
import { generationsOf } from '../../src/training/generations.ts';

const generations = (...methods: [name: string, options?: Record<string, unknown>][]): number =>
  generationsOf(
    createObjective(
      methods.map(([name, options = {}]) => ({ method: getMethod(name), options })),
      {},
    ),
  );

describe('the generations after the first one', () => {
  it('are those of the options', () => {
    expect(generations(['born-again'])).toBe(2);
    expect(generations(['born-again', { generations: 5 }])).toBe(5);
  });

  it('are one for another method that learns from the generation before', () => {
    expect(generations(['tf-kd-self'])).toBe(1);
    expect(generations(['tf-kd-reg'], ['tf-kd-self'])).toBe(1);
    expect(generations(['tf-kd-self'], ['born-again', { generations: 3 }])).toBe(3);
  });

  it('are none for all others', () => {
    for (const name of ['independent', 'kd', 'self-ema', 'ps-kd', 'cs-kd'])
      expect(generations([name])).toBe(0);
  });
});
