import { describe, expect, it } from 'vitest';
import { viewKey } from '../../src/datasets/augment.ts';
import { batchOf, otherView } from '../../src/datasets/batchKinds.ts';
import { classIndex, classPairs } from '../../src/datasets/classPairs.ts';
import { batchIds, stepsPerEpoch } from '../../src/datasets/sampler.ts';
import type { BatchKind } from '../../src/distill/types.ts';

const [seed, batchSize, count] = [3, 4, 30];
const classes = classIndex(Uint16Array.from({ length: count }, (_, id) => id % 3));
const KINDS: readonly BatchKind[] = ['plain', 'overlapping', 'class-pairs', 'two-views'];

const addressOf = (step: number) => ({ seed, step, batchSize, count });
const idsAt = (step: number) => [...batchIds(addressOf(step))];
const batchAt = (kind: BatchKind, step: number) => {
  const { ids, views } = batchOf(kind, addressOf(step), viewKey(seed, step), classes);
  return { ids: [...ids], views: [...views] };
};
/** `rows` times the view of the step, or the other one of it. */
const views = (step: number, rows: number, other = false): number[] => {
  const view = viewKey(seed, step);
  return Array.from({ length: rows }, () => (other ? otherView(view) : view));
};

describe('a plain batch', () => {
  it('has every sample once, in one view', () => {
    expect(batchAt('plain', 5)).toEqual({ ids: idsAt(5), views: views(5, 4) });
  });
});

describe('an overlapping batch', () => {
  it('begins with the new samples of the one before, in another view', () => {
    for (const step of [1, 2, 6, 7, 8, 12_345]) {
      expect(batchAt('overlapping', step)).toEqual({
        ids: [...idsAt(step - 1), ...idsAt(step)],
        views: [...views(step, 4, true), ...views(step, 4)],
      });
      if (step > 1)
        expect(batchAt('overlapping', step).ids.slice(0, 4)).toEqual(
          batchAt('overlapping', step - 1).ids.slice(4),
        );
    }
  });

  it('has the new samples alone in the first step', () => {
    expect(batchAt('overlapping', 0)).toEqual({ ids: idsAt(0), views: views(0, 4) });
  });

  it('has each sample of an epoch once among the new ones', () => {
    const steps = stepsPerEpoch(count, batchSize);
    const fresh = Array.from({ length: steps }, (_, i) =>
      batchAt('overlapping', steps + i).ids.slice(4),
    ).flat();
    expect(new Set(fresh).size).toBe(steps * batchSize);
  });
});

describe('a batch of pairs of a class', () => {
  it('has after the samples another one of the class of each', () => {
    const { ids, views: keys } = batchAt('class-pairs', 5);
    const own = batchIds(addressOf(5));
    expect(ids).toEqual([...own, ...classPairs(own, classes, seed, 5)]);
    for (const [row, id] of own.entries()) expect(ids[4 + row]! % 3).toBe(id % 3);
    expect(keys).toEqual([...views(5, 4), ...views(5, 4, true)]);
  });

  it('needs the samples by class', () => {
    expect(() => batchOf('class-pairs', addressOf(0), 1)).toThrow('internal');
  });
});

describe('a batch of two views', () => {
  it('has the samples again after themselves, in another view', () => {
    expect(batchAt('two-views', 5)).toEqual({
      ids: [...idsAt(5), ...idsAt(5)],
      views: [...views(5, 4), ...views(5, 4, true)],
    });
  });
});

describe.each(KINDS)('every kind of batch: %s', (kind) => {
  it('depends on its address alone, and not on the steps before', () => {
    const direct = batchAt(kind, 123_456);
    batchAt(kind, 0);
    expect(batchAt(kind, 123_456)).toEqual(direct);
    expect(batchAt(kind, 123_457)).not.toEqual(direct);
  });

  it('has as many rows again as the plain one, and a view for each', () => {
    const { ids, views } = batchAt(kind, 1);
    const rows = kind === 'plain' ? batchSize : 2 * batchSize;
    expect([ids.length, views.length]).toEqual([rows, rows]);
  });
});

describe('another view', () => {
  it('is none of a step, nor of another peer', () => {
    const keys = [0, 1, 2, 3].flatMap((step) => [
      ...[viewKey(1, step), otherView(viewKey(1, step))],
      ...[viewKey(1, step, 'ada'), otherView(viewKey(1, step, 'ada'))],
    ]);
    expect(new Set(keys).size).toBe(keys.length);
  });
});
