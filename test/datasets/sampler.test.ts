import { describe, expect, it } from 'vitest';
import { batchIds, stepsPerEpoch } from '../../src/datasets/sampler.ts';
import { UsageError } from '../../src/errors.ts';

/** The ids of one epoch's steps, joined. */
function epochIds(seed: number, epoch: number, batchSize: number, count: number): number[] {
  const steps = stepsPerEpoch(count, batchSize);
  return Array.from({ length: steps }, (_, i) => [
    ...batchIds({ seed, step: epoch * steps + i, batchSize, count }),
  ]).flat();
}

describe('stepsPerEpoch', () => {
  it('drops the last, partial batch', () => {
    expect(stepsPerEpoch(10_000, 64)).toBe(156);
    expect(stepsPerEpoch(64, 64)).toBe(1);
  });

  it.each([0, 65, 1.5, Number.NaN])('refuses the batch size %s for 64 samples', (batchSize) => {
    expect(() => stepsPerEpoch(64, batchSize)).toThrow(UsageError);
    expect(() => stepsPerEpoch(64, batchSize)).toThrow('from 1 to 64');
  });
});

describe('batchIds', () => {
  it.each([1, 2, 3, 4, 5, 10, 16, 17, 1000, 60_000])(
    'visits each of %i samples once in an epoch',
    (count) => {
      for (const epoch of [0, 1, 7]) {
        const ids = epochIds(1, epoch, 1 + (count >> 2), count);
        expect(new Set(ids).size).toBe(ids.length);
        expect(Math.max(...new Set(ids))).toBeLessThan(count);
      }
      expect(epochIds(1, 0, count, count).sort((a, b) => a - b)).toEqual(
        Array.from({ length: count }, (_, i) => i),
      );
    },
  );

  it('changes the order from epoch to epoch and from seed to seed', () => {
    const first = epochIds(1, 0, 10, 100);
    expect(epochIds(1, 1, 10, 100)).not.toEqual(first);
    expect(epochIds(2, 0, 10, 100)).not.toEqual(first);
  });

  it('does not depend on which steps were asked for before', () => {
    const address = { seed: 1, step: 123_456, batchSize: 32, count: 10_000 };
    const direct = batchIds(address);
    batchIds({ ...address, step: 0 });
    expect(batchIds(address)).toEqual(direct);
  });

  it('stays the same from version to version', () => {
    expect([...batchIds({ seed: 42, step: 1000, batchSize: 6, count: 10_000 })]).toEqual([
      6316, 1265, 8987, 2879, 293, 4119,
    ]);
  });

  it.each([5, 10, 17, 64])('puts every one of %i samples at every place equally often', (count) => {
    const epochs = 400 * count;
    const seen = new Float64Array(count * count);
    for (let epoch = 0; epoch < epochs; epoch++) {
      const ids = batchIds({ seed: 7, step: epoch, batchSize: count, count });
      for (let place = 0; place < count; place++) seen[place * count + ids[place]!]!++;
    }
    const expected = epochs / count;
    const chiSquare = seen.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
    const freedom = (count - 1) ** 2;
    expect(Math.abs(chiSquare - freedom) / Math.sqrt(2 * freedom), 'standard deviations').toBeLessThan(4);
  });

  it('puts every ordered pair of samples first equally often', () => {
    const [count, epochs] = [10, 9000];
    const seen = new Map<string, number>();
    for (let epoch = 0; epoch < epochs; epoch++) {
      const pair = batchIds({ seed: 8, step: epoch * 5, batchSize: 2, count }).join();
      seen.set(pair, (seen.get(pair) ?? 0) + 1);
    }
    const expected = epochs / 90;
    const chiSquare = [...seen.values()].reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
    expect(seen.size).toBe(90);
    expect(chiSquare, '89 degrees of freedom').toBeLessThan(89 + 4 * Math.sqrt(2 * 89));
  });
});
