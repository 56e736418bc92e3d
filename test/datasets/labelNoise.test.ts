import { describe, expect, it } from 'vitest';
import { addLabelNoise } from '../../src/datasets/labelNoise.ts';
import { UsageError } from '../../src/errors.ts';
import { tinySet } from './support.ts';

const classes = 10;
const clean = tinySet(Array.from({ length: 9001 }, (_, i) => i % classes));

describe('addLabelNoise', () => {
  it.each([0, 0.3, 0.12345, 1])('makes exactly the share %s of the labels wrong', (noise) => {
    const { labels } = addLabelNoise(clean, noise, classes, 1);
    const wrong = labels.filter((label, i) => label !== clean.labels[i]).length;
    expect(wrong).toBe(Math.round(noise * clean.count));
    expect(labels.every((label) => label < classes)).toBe(true);
  });

  it('draws the wrong labels uniformly from the other classes', () => {
    const { labels } = addLabelNoise(clean, 1, classes, 2);
    const shifts = new Array(classes).fill(0);
    for (const [i, label] of labels.entries()) shifts[(label - clean.labels[i]! + classes) % classes]++;
    const expected = clean.count / (classes - 1);
    expect(shifts[0]).toBe(0);
    const chiSquare = shifts.slice(1).reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
    expect(chiSquare, '8 degrees of freedom').toBeLessThan(26);
  });

  it('spreads the wrong labels over the whole set', () => {
    const { labels } = addLabelNoise(clean, 0.3, classes, 3);
    const half = Math.floor(clean.count / 2);
    const early = labels.subarray(0, half).filter((label, i) => label !== clean.labels[i]).length;
    expect(Math.abs(early / half - 0.3)).toBeLessThan(0.02);
  });

  it('is the same for the same seed and another for another', () => {
    const labels = (seed: number) => [...addLabelNoise(clean, 0.3, classes, seed).labels];
    expect(labels(4)).toEqual(labels(4));
    expect(labels(4)).not.toEqual(labels(5));
  });

  it('leaves the set it is given as it was', () => {
    const before = clean.labels.slice();
    addLabelNoise(clean, 1, classes, 6);
    expect(clean.labels).toEqual(before);
  });

  it.each([-0.1, 1.1, Number.NaN])('refuses the share %s', (noise) => {
    expect(() => addLabelNoise(clean, noise, classes, 1)).toThrow(UsageError);
  });
});
