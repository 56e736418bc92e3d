import { describe, expect, it } from 'vitest';
import { drawCropFlip, PADDING, viewKey } from '../../src/datasets/augment.ts';

describe('viewKey', () => {
  it('is one for all peers in the shared view, and differs between steps, seeds and views', () => {
    const keys = [viewKey(1, 5), viewKey(1, 6), viewKey(2, 5), viewKey(1, 5, 'ada'), viewKey(1, 5, 'bob')];
    expect(new Set(keys).size).toBe(keys.length);
    expect(viewKey(1, 5)).toBe(keys[0]);
    expect(viewKey(1, 5, 'ada')).toBe(keys[3]);
  });
});

describe('drawCropFlip', () => {
  it('draws every crop and mirroring equally often', () => {
    const places = 2 * PADDING + 1;
    const seen = new Float64Array(places * places * 2);
    const draws = seen.length * 200;
    for (let i = 0; i < draws; i++) {
      const { top, left, flip } = drawCropFlip(viewKey(1, i >> 6), i & 63);
      seen[(top * places + left) * 2 + Number(flip)]!++;
    }
    const chiSquare = seen.reduce((sum, n) => sum + (n - 200) ** 2 / 200, 0);
    const freedom = seen.length - 1;
    expect(Math.abs(chiSquare - freedom) / Math.sqrt(2 * freedom), 'standard deviations').toBeLessThan(4);
  });
});
