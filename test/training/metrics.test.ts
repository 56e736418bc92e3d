import { describe, expect, test } from 'vitest';
import { createRandom } from '../../src/random.ts';
import {
  agreement,
  evaluateLogits,
  evaluateProbabilities,
  meanProbabilities,
} from '../../src/training/metrics.ts';

const log = (...probabilities: number[]): Float32Array => Float32Array.from(probabilities, Math.log);

function randomLogits(samples: number, classes: number, key: string): Float32Array {
  const random = createRandom(0, key);
  return Float32Array.from({ length: samples * classes }, () => 3 * random.normal());
}

describe('evaluateLogits', () => {
  test('computes accuracy, NLL and ECE as by hand', () => {
    // Predictions: 0 (0.7, right), 1 (0.6, wrong), 2 (0.5, right).
    const logits = log(0.7, 0.2, 0.1, 0.3, 0.6, 0.1, 0.2, 0.3, 0.5);
    const { accuracy, nll, ece } = evaluateLogits(logits, Uint16Array.of(0, 0, 2), 3);
    expect(accuracy).toBeCloseTo(2 / 3, 12);
    expect(nll).toBeCloseTo(-(Math.log(0.7) + Math.log(0.3) + Math.log(0.5)) / 3, 6);
    // Three bins of one sample each: gaps |1-0.7|, |0-0.6|, |1-0.5|.
    expect(ece).toBeCloseTo((0.3 + 0.6 + 0.5) / 3, 6);
  });

  test('lets gaps within one bin cancel, as the bin average does', () => {
    // Both confidences lie in (9/15, 10/15]: mean accuracy 0.5, mean confidence 0.63.
    const logits = log(0.62, 0.38, 0.64, 0.36);
    expect(evaluateLogits(logits, Uint16Array.of(0, 1), 2).ece).toBeCloseTo(0.13, 6);
  });

  test('does not change when a constant is added to a row', () => {
    const logits = randomLogits(200, 7, 'shift');
    const labels = Uint16Array.from({ length: 200 }, (_, i) => i % 7);
    // Multiples of 1/8 are added without rounding, so that equality is exact up to float64.
    const rounded = logits.map((value) => Math.round(value * 8) / 8);
    const shifted = rounded.map((value, i) => value + Math.floor(i / 7) - 100);
    const plain = evaluateLogits(rounded, labels, 7);
    const moved = evaluateLogits(shifted, labels, 7);
    expect(moved.accuracy).toBe(plain.accuracy);
    expect(moved.nll).toBeCloseTo(plain.nll, 10);
    expect(moved.ece).toBeCloseTo(plain.ece, 10);
  });

  test('stays finite where softmax in float32 overflows or underflows', () => {
    const { nll } = evaluateLogits(Float32Array.of(1e4, -1e4), Uint16Array.of(1), 2);
    expect(nll).toBe(2e4);
  });

  test('takes the first of equal maxima', () => {
    expect(evaluateLogits(Float32Array.of(1, 1, 1), Uint16Array.of(0), 3).accuracy).toBe(1);
    expect(evaluateLogits(Float32Array.of(1, 1, 1), Uint16Array.of(1), 3).accuracy).toBe(0);
  });

  test('gives guessing the NLL of a uniform distribution and no calibration error', () => {
    const labels = Uint16Array.of(0, 1, 2, 3);
    const { nll, ece } = evaluateLogits(new Float32Array(16), labels, 4);
    expect(nll).toBeCloseTo(Math.log(4), 12);
    expect(ece).toBeCloseTo(0, 12);
  });

  test('refuses rows that do not fit the labels, labels out of range and empty sets', () => {
    expect(() => evaluateLogits(new Float32Array(5), Uint16Array.of(0, 1), 3)).toThrow(
      'Expected 2 x 3 = 6 logits, got 5.',
    );
    expect(() => evaluateLogits(new Float32Array(6), Uint16Array.of(0, 3), 3)).toThrow(
      'Expected labels below 3, got 3 at sample 1.',
    );
    expect(() => evaluateLogits(new Float32Array(0), new Uint16Array(0), 3)).toThrow('empty set');
  });
});

describe('evaluateProbabilities', () => {
  test('agrees with evaluateLogits on the softmax of the same logits', () => {
    const logits = randomLogits(300, 10, 'softmax');
    const labels = Uint16Array.from({ length: 300 }, (_, i) => (i * 7) % 10);
    const fromLogits = evaluateLogits(logits, labels, 10);
    const fromProbabilities = evaluateProbabilities(meanProbabilities([logits], 10), labels, 10);
    expect(fromProbabilities.accuracy).toBe(fromLogits.accuracy);
    expect(fromProbabilities.nll).toBeCloseTo(fromLogits.nll, 10);
    expect(fromProbabilities.ece).toBeCloseTo(fromLogits.ece, 10);
  });

  test('finds no calibration error when confidence is the share of hits in every bin', () => {
    // Ten predictions at 0.8 of which eight hit, ten at 0.6 of which six hit.
    const confidences = Array.from({ length: 20 }, (_, i) => (i < 10 ? 0.8 : 0.6));
    const probabilities = Float64Array.from(confidences.flatMap((p) => [p, 1 - p]));
    const labels = Uint16Array.from({ length: 20 }, (_, i) => (i < 8 || (i >= 10 && i < 16) ? 0 : 1));
    expect(evaluateProbabilities(probabilities, labels, 2).ece).toBeCloseTo(0, 12);
  });

  test('puts a confidence on a bin edge into the bin below it', () => {
    // (9/15, 10/15] and (10/15, 11/15]: were 10/15 counted above, the gaps would cancel.
    const edge = 10 / 15;
    const above = 10.5 / 15;
    const probabilities = Float64Array.of(edge, 1 - edge, above, 1 - above);
    const { ece } = evaluateProbabilities(probabilities, Uint16Array.of(0, 1), 2);
    expect(ece).toBeCloseTo((1 - edge + above) / 2, 12);
  });

  test('counts an impossible event as 744 nats, not as infinity', () => {
    expect(evaluateProbabilities(Float64Array.of(1, 0), Uint16Array.of(1), 2).nll).toBeCloseTo(744.44, 2);
  });
});

describe('meanProbabilities', () => {
  test('averages probabilities, not logits', () => {
    const mean = meanProbabilities([log(0.9, 0.1), log(0.2, 0.8)], 2);
    expect(mean[0]).toBeCloseTo(0.55, 6);
    expect(mean[1]).toBeCloseTo(0.45, 6);
  });

  test('gives rows that sum to 1', () => {
    const mean = meanProbabilities([randomLogits(50, 9, 'a'), randomLogits(50, 9, 'b')], 9);
    for (let row = 0; row < 50; row++) {
      expect(mean.subarray(row * 9, row * 9 + 9).reduce((sum, p) => sum + p)).toBeCloseTo(1, 12);
    }
  });

  test('refuses peers with different numbers of samples', () => {
    expect(() => meanProbabilities([new Float32Array(4), new Float32Array(6)], 2)).toThrow(
      'the first has 4, number 2 has 6',
    );
  });
});

describe('agreement', () => {
  const predicting = (...classes: number[]): Float32Array =>
    Float32Array.from(classes.flatMap((k) => [0, 1, 2].map((j) => (j === k ? 1 : 0))));

  test('is the share of samples with the same prediction, averaged over pairs', () => {
    // Pairs: 1-2 agree on 2 of 4, 1-3 on 3 of 4, 2-3 on 1 of 4.
    const logits = [predicting(0, 1, 2, 0), predicting(0, 1, 0, 1), predicting(0, 2, 2, 0)];
    expect(agreement(logits, 3)).toBeCloseTo((2 / 4 + 3 / 4 + 1 / 4) / 3, 12);
  });

  test('is 1 for equal peers and null for one', () => {
    expect(agreement([predicting(0, 1), predicting(0, 1)], 3)).toBe(1);
    expect(agreement([predicting(0, 1)], 3)).toBeNull();
  });
});
