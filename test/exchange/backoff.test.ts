import { describe, expect, it } from 'vitest';
import { backoffMs } from '../../src/exchange/backoff.ts';

describe('the time before the next attempt', () => {
  it('is drawn from a range that doubles with each failure, up to 8 s', () => {
    const middle = [0, 1, 2, 3, 4, 5, 6, 100].map((attempt) => backoffMs(attempt, 0.5));
    expect(middle).toEqual([125, 250, 500, 1000, 2000, 4000, 4000, 4000]);
  });

  it('may be nothing at all, and stays below the end of its range', () => {
    const almostOne = 1 - 2 ** -32;
    expect(backoffMs(3, 0)).toBe(0);
    expect(backoffMs(3, almostOne)).toBeLessThan(2_000);
    expect(backoffMs(3, almostOne)).toBeGreaterThan(1_999);
  });

  it('is still a number after more attempts than a double can count powers for', () => {
    expect(backoffMs(5000, 0.25)).toBe(2_000);
  });
});
