import { describe, expect, it } from 'vitest';
import { generalWeights } from '../../src/ensemble/generalWeights.ts';
import { ShapeError } from '../../src/errors.ts';
import { createRandom } from '../../src/random.ts';
import { softmax, sumOf } from '../support/numeric.ts';
import { expectClose } from '../support/tensors.ts';

const ROWS = 40;
const CLASSES = 3;
const labels = Array.from({ length: ROWS }, (_, row) => row % CLASSES);

/** Predictions that know the label, with this much noise. */
function peer(noise: number, key: string): Float32Array {
  const random = createRandom(5, 'general', key);
  return Float32Array.from({ length: ROWS * CLASSES }, (_, i) => {
    const right = i % CLASSES === labels[Math.floor(i / CLASSES)]! ? 2 : 0;
    return right + noise * random.normal();
  });
}

const errorsOf = (z: Float32Array): number[] =>
  softmax(z, CLASSES).map((p, i) => p - (i % CLASSES === labels[Math.floor(i / CLASSES)]! ? 1 : 0));

/** The squared error of a mixture of the peers' probabilities. */
const squaredError = (logits: readonly Float32Array[], weights: readonly number[]): number => {
  const errors = logits.map(errorsOf);
  return sumOf(errors[0]!.map((_, i) => sumOf(errors.map((e, k) => weights[k]! * e[i]!)) ** 2));
};

describe('the weights of KDCL-General', () => {
  const peers = [peer(1, 'a'), peer(2, 'b'), peer(1.5, 'c')];

  it('are the inverse covariance of two peers, by its formula', () => {
    const [a, b] = peers.slice(0, 2).map(errorsOf) as [number[], number[]];
    const c = (x: number[], y: number[]) => sumOf(x.map((value, i) => value * y[i]!)) / x.length;
    const [aa, ab, bb] = [c(a, a), c(a, b), c(b, b)];
    const total = aa + bb - 2 * ab;
    const weights = generalWeights(peers.slice(0, 2), labels, ROWS, CLASSES);
    expectClose(weights, [(bb - ab) / total, (aa - ab) / total], 1e-4);
  });

  it('are those of the mixture with the least squared error', () => {
    const weights = generalWeights(peers, labels, ROWS, CLASSES);
    expect(sumOf(weights)).toBeCloseTo(1, 9);
    const least = squaredError(peers, weights);
    for (const [i, j] of [
      [0, 1],
      [1, 2],
      [2, 0],
    ] as const) {
      for (const moved of [0.05, -0.05]) {
        const other = weights.with(i, weights[i]! + moved).with(j, weights[j]! - moved);
        expect(squaredError(peers, other)).toBeGreaterThan(least);
      }
    }
  });

  it('trust the better peer more', () => {
    const [better, worse] = generalWeights([peer(0.5, 'x'), peer(3, 'y')], labels, ROWS, CLASSES);
    expect(better).toBeGreaterThan(worse!);
  });

  it('are even for peers that err alike, or not at all', () => {
    const [a] = peers as [Float32Array];
    expectClose(
      generalWeights([a, a.slice(), a.slice()], labels, ROWS, CLASSES),
      [1 / 3, 1 / 3, 1 / 3],
      1e-6,
    );
    const perfect = peer(0, 'p').map((z) => z * 1000);
    expectClose(generalWeights([perfect, perfect.slice()], labels, ROWS, CLASSES), [0.5, 0.5], 1e-9);
  });

  it('of one peer are 1', () => {
    expectClose(generalWeights([peers[0]!], labels, ROWS, CLASSES), [1], 1e-12);
  });

  it('need a label for each row', () => {
    expect(() => generalWeights(peers, labels.slice(1), ROWS, CLASSES)).toThrow(ShapeError);
  });
});
