import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadBackend } from '../../src/backend/select.ts';
import { crossEntropy } from '../../src/distill/crossEntropy.ts';
import { crossEntropies, normals, numericGradient, sumOf } from '../support/numeric.ts';
import { expectClose, expectNoLeak, gradientOf, rowsOf, valuesOf } from '../support/tensors.ts';

beforeAll(async () => {
  await loadBackend('wasm');
});

const CLASSES = 5;
const labels = [0, 4, 2, 2];
const logits = normals(labels.length * CLASSES, 3, 'cross-entropy');

const lossFor =
  (classes: readonly number[]) =>
  (z: tf.Tensor2D): tf.Tensor1D =>
    crossEntropy(z, tf.tensor1d([...classes], 'int32'));
const loss = lossFor(labels);

describe('the cross-entropy', () => {
  it('is minus the logarithm of the probability of the label', () => {
    const rows = [0.7, 0.25, 0.05, 0.7, 0.25, 0.05, 1 / 3, 1 / 3, 1 / 3].map(Math.log);
    expectClose(valuesOf(lossFor([0, 2, 1]), rows, 3), [0.3566749, 2.9957323, 1.0986123], 1e-6);
  });

  it('agrees with its definition in float64', () => {
    expectClose(valuesOf(loss, logits, CLASSES), crossEntropies(logits, CLASSES, labels), 1e-6);
  });

  it('has the gradient of central differences', () => {
    const numeric = numericGradient((z) => sumOf(crossEntropies(z, CLASSES, labels)), logits);
    expectClose(gradientOf(loss, logits, CLASSES), numeric, 1e-6);
  });

  it('stays finite, and so does its gradient, where a softmax would be 0', () => {
    expect(valuesOf(lossFor([1]), [1e4, -1e4], 2)).toEqual([2e4]);
    expect(gradientOf(lossFor([1]), [1e4, -1e4], 2)).toEqual([1, -1]);
  });

  it('of a sample does not depend on the other samples of the batch', () => {
    const once = valuesOf(loss, logits, CLASSES);
    const twice = valuesOf(lossFor([...labels, ...labels]), [...logits, ...logits], CLASSES);
    expectClose(twice, [...once, ...once], 1e-7);
  });

  it('does not change when classes are added that nobody believes in', () => {
    const wider = labels.flatMap((_, row) => [
      ...logits.slice(row * CLASSES, (row + 1) * CLASSES),
      ...[-1e4, -1e4, -1e4],
    ]);
    expectClose(valuesOf(loss, wider, CLASSES + 3), valuesOf(loss, logits, CLASSES), 1e-7);
  });

  it('leaves one tensor behind, its result', async () => {
    const [z, y] = [rowsOf(logits, CLASSES), tf.tensor1d(labels, 'int32')];
    await expectNoLeak(() => crossEntropy(z, y).dispose());
  });
});
