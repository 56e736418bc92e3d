import { describe, expect, it } from 'vitest';
import { balancedSubset } from '../../src/datasets/balancedSubset.ts';
import { UsageError } from '../../src/errors.ts';
import { tinySet } from './support.ts';

const set = tinySet([2, 0, 0, 1, 0, 2, 1, 1, 2]);

describe('balancedSubset', () => {
  it('takes the first samples of each class in file order', () => {
    const subset = balancedSubset(set, 6, 3, 'trainSize');
    expect(subset.count).toBe(6);
    expect([...subset.images]).toEqual([0, 1, 2, 3, 5, 6]);
    expect([...subset.labels]).toEqual([2, 0, 0, 1, 2, 1]);
  });

  it('gives a remainder to the classes with the lowest numbers', () => {
    expect([...balancedSubset(set, 5, 3, 'trainSize').labels].sort()).toEqual([0, 0, 1, 1, 2]);
  });

  it('keeps everything when asked for as many as there are, balanced or not', () => {
    expect(balancedSubset(tinySet([0, 0, 1]), 3, 2, 'trainSize').count).toBe(3);
  });

  it.each([0, -1, 1.5, Number.NaN, 10])('refuses the size %s', (size) => {
    expect(() => balancedSubset(set, size, 3, 'trainSize')).toThrow(UsageError);
    expect(() => balancedSubset(set, size, 3, 'trainSize')).toThrow(
      `trainSize: expected an integer from 1 to 9`,
    );
  });

  it('refuses equal shares when a class has too few', () => {
    expect(() => balancedSubset(tinySet([0, 0, 0, 1, 0]), 4, 2, 'testSize')).toThrow(
      /testSize: .*class 1 has 1 too few/,
    );
  });
});
