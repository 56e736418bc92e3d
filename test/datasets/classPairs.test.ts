import { describe, expect, it } from 'vitest';
import { classIndex, classPairs } from '../../src/datasets/classPairs.ts';

/** Classes of 1, 2, 7, 0 and 40 samples, mixed. */
const sizes = [1, 2, 7, 0, 40];
const labels = Uint16Array.from(
  sizes
    .flatMap((size, label) =>
      Array.from({ length: size }, (_, i) => ({ label, key: (i * 29 + label * 7) % 31 })),
    )
    .sort((a, b) => a.key - b.key)
    .map(({ label }) => label),
);
const index = classIndex(labels);
const ids = Uint32Array.from(labels.keys());

describe('classIndex', () => {
  it('lists the samples of each class in order', () => {
    for (const [label, size] of sizes.entries()) {
      const members = [...index.members.subarray(index.starts[label], index.starts[label + 1])];
      expect(members).toEqual([...ids].filter((id) => labels[id] === label));
      expect(members.length).toBe(size);
    }
  });

  it('knows the place of each sample', () => {
    expect([...index.places].map((place) => index.members[place])).toEqual([...ids]);
  });

  it('is empty for no samples', () => {
    expect(classIndex(new Uint16Array(0))).toMatchObject({
      members: new Uint32Array(0),
      starts: new Uint32Array(1),
    });
  });
});

describe('classPairs', () => {
  it('gives each sample another one of its class, and itself when it is the only one', () => {
    for (let step = 0; step < 50; step++) {
      for (const [id, partner] of classPairs(ids, index, 1, step).entries()) {
        expect(labels[partner]).toBe(labels[id]);
        expect(partner === id).toBe(sizes[labels[id]!] === 1);
      }
    }
  });

  it('depends on the seed, the step and the id, and not on the rest of the batch', () => {
    const pairs = classPairs(ids, index, 1, 7);
    expect(classPairs(ids, index, 1, 7)).toEqual(pairs);
    expect(classPairs(ids.slice().reverse(), index, 1, 7)).toEqual(pairs.slice().reverse());
    expect(classPairs(ids, index, 1, 8)).not.toEqual(pairs);
    expect(classPairs(ids, index, 2, 7)).not.toEqual(pairs);
  });

  it('stays the same from version to version', () => {
    const many = classIndex(Uint16Array.from({ length: 1000 }, (_, id) => id % 10));
    expect([...classPairs(Uint32Array.of(0, 1, 500, 999), many, 42, 1000)]).toEqual([270, 31, 640, 519]);
  });

  it('takes all the others equally often', () => {
    const steps = 39 * 400;
    const id = [...ids].find((each) => labels[each] === 4)!;
    const seen = new Map<number, number>();
    for (let step = 0; step < steps; step++) {
      const [partner] = classPairs(Uint32Array.of(id), index, 3, step);
      seen.set(partner!, (seen.get(partner!) ?? 0) + 1);
    }
    const expected = steps / 39;
    const chiSquare = [...seen.values()].reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
    expect(seen.size).toBe(39);
    expect(chiSquare, '38 degrees of freedom').toBeLessThan(38 + 4 * Math.sqrt(2 * 38));
  });

  it('refuses a sample that it does not know', () => {
    expect(() => classPairs(Uint32Array.of(labels.length), index, 1, 0)).toThrow(RangeError);
  });
});
