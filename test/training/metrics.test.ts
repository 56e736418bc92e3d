import { describe, expect, test } from 'vitest';
import { agreement, churn, evaluateLogits } from '../../src/training/metrics.ts';
import { crossEntropies, normals, softmax, sumOf } from '../support/numeric.ts';

const log = (...probabilities: number[]): Float32Array => Float32Array.from(probabilities, Math.log);

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

  test('finds no calibration error when confidence is the share of hits in every bin', () => {
    // Ten predictions at 0.8 of which eight hit, ten at 0.6 of which six hit.
    const confidences = Array.from({ length: 20 }, (_, i) => (i < 10 ? 0.8 : 0.6));
    const logits = log(...confidences.flatMap((p) => [p, 1 - p]));
    const labels = Uint16Array.from({ length: 20 }, (_, i) => (i < 8 || (i >= 10 && i < 16) ? 0 : 1));
    expect(evaluateLogits(logits, labels, 2).ece).toBeCloseTo(0, 6);
  });

  test('has 15 bins of equal width: samples in the middle of each do not cancel', () => {
    const classes = 60;
    // Hits and misses take turns, so that their gaps would cancel if two neighbours shared a bin.
    const samples = Array.from({ length: 15 }, (_, bin) => ({ confidence: (bin + 0.5) / 15, hit: bin % 2 }));
    const logits = samples.flatMap(({ confidence }) => [
      Math.log(confidence),
      ...new Array(classes - 1).fill(Math.log((1 - confidence) / (classes - 1))),
    ]);
    const labels = samples.map(({ hit }) => (hit === 1 ? 0 : 1));
    const { ece } = evaluateLogits(Float32Array.from(logits), Uint16Array.from(labels), classes);
    expect(ece).toBeCloseTo(sumOf(samples.map(({ confidence, hit }) => Math.abs(hit - confidence))) / 15, 6);
  });

  test('puts a confidence on the edge of two bins into the lower one', () => {
    // Of three equal logits, each has exactly 1/3 = 5/15; the fourth class does not count.
    const edge = [0, 0, 0, -1e4];
    const eceBeside = (...neighbour: number[]) =>
      evaluateLogits(Float32Array.of(...edge, ...log(...neighbour)), Uint16Array.of(0, 1), 4).ece;
    // A hit at 1/3 and a miss at 0.3, which share the bin (4/15, 5/15], cancel in part.
    expect(eceBeside(0.3, 0.25, 0.25, 0.2)).toBeCloseTo((2 / 3 - 0.3) / 2, 6);
    // A miss at 0.36 is in the next bin.
    expect(eceBeside(0.36, 0.24, 0.2, 0.2)).toBeCloseTo((2 / 3 + 0.36) / 2, 6);
  });

  test('counts certainty in the last bin', () => {
    // Confidence 1 in float64, a hit and a miss, beside a hit at 0.95.
    const logits = Float32Array.of(100, 0, 100, 0, ...log(0.95, 0.05));
    expect(evaluateLogits(logits, Uint16Array.of(0, 1, 0), 2).ece).toBeCloseTo((1 - 0.05) / 3, 6);
  });

  test('has the mean cross-entropy of a definition in float64 as NLL', () => {
    const [samples, classes] = [100, 10];
    const logits = normals(samples * classes, 3, 'nll');
    const labels = Array.from({ length: samples }, (_, i) => (i * 7) % classes);
    const { nll } = evaluateLogits(Float32Array.from(logits), Uint16Array.from(labels), classes);
    expect(nll).toBeCloseTo(sumOf(crossEntropies(logits, classes, labels)) / samples, 10);
  });

  test('has the mean squared distance from the true class of a definition in float64 as Brier score', () => {
    const [samples, classes] = [100, 10];
    const logits = normals(samples * classes, 3, 'brier');
    const labels = Array.from({ length: samples }, (_, i) => (i * 7) % classes);
    const squares = softmax(logits, classes).map(
      (p, i) => (p - (labels[Math.floor(i / classes)] === i % classes ? 1 : 0)) ** 2,
    );
    const { brier } = evaluateLogits(Float32Array.from(logits), Uint16Array.from(labels), classes);
    expect(brier).toBeCloseTo(sumOf(squares) / samples, 10);
  });

  test('scores certainty with 0 or 2 after Brier, and guessing between them', () => {
    const brier = (logits: number[], label: number) =>
      evaluateLogits(Float32Array.from(logits), Uint16Array.of(label), logits.length).brier;
    expect([brier([1e4, 0, 0], 0), brier([1e4, 0, 0], 1)]).toEqual([0, 2]);
    expect(brier([1, 1, 1, 1], 2)).toBeCloseTo(0.75 ** 2 + 3 * 0.25 ** 2, 12);
  });

  test('counts a true class among the five largest, by their places in float64', () => {
    const [samples, classes] = [200, 12];
    const logits = normals(samples * classes, 1, 'top5');
    const labels = Array.from({ length: samples }, (_, i) => (i * 5) % classes);
    const hits = labels.filter((label, i) => {
      const row = logits.slice(i * classes, (i + 1) * classes);
      return row.filter((value) => value > row[label]!).length < 5;
    });
    const { top5, accuracy } = evaluateLogits(Float32Array.from(logits), Uint16Array.from(labels), classes);
    expect(top5).toBe(hits.length / samples);
    expect(top5).toBeGreaterThan(accuracy);
  });

  test('counts the fifth place and not the sixth, of equal logits the first five', () => {
    const top5 = (logits: number[], label: number) =>
      evaluateLogits(Float32Array.from(logits), Uint16Array.of(label), logits.length).top5;
    expect([3, 2].map((label) => top5([9, 8, 1, 2, 7, 6, 0], label))).toEqual([1, 0]);
    expect([0, 4, 5, 6].map((label) => top5([1, 1, 1, 1, 1, 1, 1], label))).toEqual([1, 1, 0, 0]);
  });

  test('has no top-5 accuracy with five classes, where every class is among them', () => {
    expect(evaluateLogits(new Float32Array(5), Uint16Array.of(4), 5)).not.toHaveProperty('top5');
    expect(evaluateLogits(new Float32Array(6), Uint16Array.of(4), 6).top5).toBe(1);
  });

  test('does not change when a constant is added to a row', () => {
    const logits = Float32Array.from(normals(200 * 7, 3, 'shift'));
    const labels = Uint16Array.from({ length: 200 }, (_, i) => i % 7);
    // Multiples of 1/8 are added without rounding, so that equality is exact up to float64.
    const rounded = logits.map((value) => Math.round(value * 8) / 8);
    const shifted = rounded.map((value, i) => value + Math.floor(i / 7) - 100);
    const plain = evaluateLogits(rounded, labels, 7);
    const moved = evaluateLogits(shifted, labels, 7);
    expect(moved.accuracy).toBe(plain.accuracy);
    expect(moved.nll).toBeCloseTo(plain.nll, 10);
    expect(moved.ece).toBeCloseTo(plain.ece, 10);
    expect(moved.brier).toBeCloseTo(plain.brier!, 10);
    expect(moved.top5).toBe(plain.top5);
  });

  test('stays finite where softmax in float32 overflows or underflows', () => {
    const { nll } = evaluateLogits(Float32Array.of(1e4, -1e4), Uint16Array.of(1), 2);
    expect(nll).toBe(2e4);
  });

  test('calls logits of NaN as bad as can be, so that nobody takes them for good', () => {
    for (const logits of [
      [NaN, 0, 0, 3],
      [0, 3, 0, NaN],
      [0, 3, NaN, NaN],
    ]) {
      const { nll, ece, brier } = evaluateLogits(Float32Array.from(logits), Uint16Array.of(1, 1), 2);
      expect([nll, ece, brier]).toEqual([Number.MAX_VALUE, 1, 2]);
    }
    const row = [3, 2, 1, NaN, 0, -1, -2];
    expect(evaluateLogits(Float32Array.from(row), Uint16Array.of(3), 7).top5).toBe(0);
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

const predicting = (...classes: number[]): Float32Array =>
  Float32Array.from(classes.flatMap((k) => [0, 1, 2].map((j) => (j === k ? 1 : 0))));

describe('churn', () => {
  test('is the share of samples with different predictions', () => {
    expect(churn(predicting(0, 1, 2, 0), predicting(0, 2, 2, 1), 3)).toBe(0.5);
    expect(churn(predicting(0, 1), predicting(0, 1), 3)).toBe(0);
  });

  test('refuses trainings with other samples', () => {
    expect(() => churn(predicting(0, 1), predicting(0), 3)).toThrow('the first has 6, number 2 has 3');
  });
});

describe('agreement', () => {
  test('is the share of samples with the same prediction, averaged over pairs', () => {
    // Pairs: 1-2 agree on 2 of 4, 1-3 on 3 of 4, 2-3 on 1 of 4.
    const logits = [predicting(0, 1, 2, 0), predicting(0, 1, 0, 1), predicting(0, 2, 2, 0)];
    expect(agreement(logits, 3)).toBeCloseTo((2 / 4 + 3 / 4 + 1 / 4) / 3, 12);
  });

  test('is 1 for equal peers and null for one', () => {
    expect(agreement([predicting(0, 1), predicting(0, 1)], 3)).toBe(1);
    expect(agreement([predicting(0, 1)], 3)).toBeNull();
  });

  test('refuses peers with different numbers of samples, and none at all', () => {
    expect(() => agreement([predicting(0, 1), predicting(0)], 3)).toThrow('the first has 6, number 2 has 3');
    expect(() => agreement([predicting(), predicting()], 3)).toThrow('at least one row of 3 logits');
  });
});
