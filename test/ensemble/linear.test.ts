import { describe, expect, it } from 'vitest';
import { leastCrossEntropy } from '../../src/ensemble/linear.ts';
import { createRandom } from '../../src/random.ts';
import { crossEntropies, softmax, sumOf } from '../support/numeric.ts';

const CLASSES = 6;

function randomRows(teachers: number, scale: number, key: number): Float32Array[] {
  const random = createRandom(4, 'linear', teachers, key);
  return Array.from({ length: teachers }, () =>
    Float32Array.from({ length: CLASSES }, () => random.normal() * scale),
  );
}

const mix = (rows: readonly Float32Array[], weights: ArrayLike<number>): number[] =>
  Array.from(rows[0]!, (_, c) => sumOf(rows.map((z, k) => weights[k]! * z[c]!)));

const lossOf = (rows: readonly Float32Array[], weights: ArrayLike<number>, label: number): number =>
  crossEntropies(mix(rows, weights), rows[0]!.length, [label])[0]!;

describe('the mixture of logits with the least cross-entropy', () => {
  it.each([0.3, 2, 15])('is that of a fine search between two teachers, of logits of size %d', (scale) => {
    for (let key = 0; key < 30; key++) {
      const rows = randomRows(2, scale, key);
      const label = key % CLASSES;
      const found = Array.from({ length: 2001 }, (_, i) => lossOf(rows, [i / 2000, 1 - i / 2000], label));
      // The search ends within 1e-9 of the largest logit.
      const bound = Math.min(...found) + 1e-9 * Math.max(1, ...rows.flatMap((z) => [...z.map(Math.abs)]));
      expect(lossOf(rows, leastCrossEntropy(rows, label), label)).toBeLessThanOrEqual(bound);
    }
  });

  it('is that of a search over the triangle of three teachers', () => {
    for (let key = 0; key < 10; key++) {
      const rows = randomRows(3, 3, key);
      let least = Infinity;
      for (let i = 0; i <= 100; i++) {
        for (let j = 0; i + j <= 100; j++) {
          least = Math.min(least, lossOf(rows, [i / 100, j / 100, (100 - i - j) / 100], 2));
        }
      }
      expect(lossOf(rows, leastCrossEntropy(rows, 2), 2)).toBeLessThanOrEqual(least + 1e-12);
    }
  });

  it.each([2, 3, 5, 8, 16])(
    'of %d teachers fulfils the conditions of a minimum on the simplex',
    (teachers) => {
      for (let key = 0; key < 20; key++) {
        const rows = randomRows(teachers, 4, key);
        const label = key % CLASSES;
        const weights = leastCrossEntropy(rows, label);
        expect(sumOf([...weights])).toBeCloseTo(1, 12);
        const p = softmax(mix(rows, weights), CLASSES);
        const slopes = rows.map((z) => sumOf(p.map((value, c) => value * (z[c]! - z[label]!))));
        const least = Math.min(...slopes);
        for (const [k, weight] of weights.entries()) {
          expect(weight).toBeGreaterThanOrEqual(0);
          // Those that count are as good as any.
          if (weight > 0) expect(slopes[k]! - least).toBeLessThan(1e-7);
        }
      }
    },
  );

  it('gives all weight to a teacher that is better on every class', () => {
    const rows = [Float32Array.of(0, 0, 0), Float32Array.of(3, -1, -2), Float32Array.of(1, 0, 0)];
    expect([...leastCrossEntropy(rows, 0)]).toEqual([0, 1, 0]);
  });

  it('shares the weight where all agree', () => {
    const z = Float32Array.of(1, -2, 0.5);
    expect([...leastCrossEntropy([z, z, z, z], 1)]).toEqual([0.25, 0.25, 0.25, 0.25]);
  });

  it('finds the middle of two opposite errors', () => {
    // Each is wrong about one class; half of each is right: (1, 0, 0).
    const weights = leastCrossEntropy([Float32Array.of(1, 4, -4), Float32Array.of(1, -4, 4)], 0);
    expect(weights[0]).toBeCloseTo(0.5, 9);
  });

  it.each([1e-30, 1e8, 1e30])('stays on the simplex for logits of size %d', (scale) => {
    for (let key = 0; key < 5; key++) {
      const weights = leastCrossEntropy(randomRows(4, scale, key), 1);
      expect(sumOf([...weights])).toBeCloseTo(1, 12);
      expect(weights.every((weight) => weight >= 0)).toBe(true);
    }
  });
});
