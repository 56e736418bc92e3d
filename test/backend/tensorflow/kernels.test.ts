import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { type UsableBackend, usableBackends, useBackend } from '../../support/backends.ts';
import { expectClose } from '../../support/tensors.ts';
import { tiedValues, values } from '../compare.ts';

const usable = (await usableBackends('kernels of TensorFlow', ['tfjs-node', 'cpu'])).filter(
  ({ name }) => name !== 'cpu',
);

/** What `compute` gives on a backend; leaves nothing behind. */
async function on(backend: UsableBackend, compute: () => tf.Tensor): Promise<ArrayLike<number>> {
  await useBackend(backend);
  const before = tf.memory().numTensors;
  const result = tf.tidy(compute);
  const data = await result.data();
  result.dispose();
  expect(tf.memory().numTensors).toBe(before);
  return data;
}

/** The gradient of `f` at `x`, for a gradient of its value that is not the same everywhere. */
function gradient(f: (x: tf.Tensor4D) => tf.Tensor, data: Float32Array, shape: number[]): tf.Tensor {
  const x = tf.tensor4d(data, shape as [number, number, number, number]);
  const weighted = (at: tf.Tensor): tf.Tensor => {
    const y = f(at as tf.Tensor4D);
    return tf.sum(tf.mul(y, tf.reshape(tf.tensor1d(values(y.size, 3)), y.shape)));
  };
  return tf.grad(weighted)(x);
}

describe.each(usable)('on $name', (backend) => {
  const expectSame = async (compute: () => tf.Tensor): Promise<void> => {
    expectClose(await on(backend, compute), await on({ name: 'cpu' }, compute), 1e-6);
  };

  it.each([0, 0.25])('the step function is that of cpu, with a slope of %d', async (alpha) => {
    await expectSame(() => tf.step(tf.tensor1d([-3, -1e-30, 0, 1e-30, 2]), alpha));
  });

  it('the step function is 1 at infinity and 0 at minus infinity, and unknown of what is no number', async () => {
    const result = await on(backend, () => tf.step(tf.tensor1d([Infinity, -Infinity, NaN])));
    expect(Array.from(result)).toEqual([1, 0, NaN]);
  });

  it.each([
    ['of quarters', [2, 6, 4, 3], 2, 2, 'valid'],
    ['of quarters, one channel', [3, 8, 8, 1], 2, 2, 'same'],
    ['of an odd size', [2, 5, 7, 3], 2, 2, 'same'],
    ['of windows that overlap', [2, 6, 6, 2], 3, 2, 'same'],
    ['of larger windows', [1, 6, 6, 2], 3, 3, 'valid'],
  ] as const)('the gradient of max pooling is that of cpu: %s', async (_, shape, size, stride, pad) => {
    const count = tf.util.sizeFromShape([...shape]);
    await expectSame(() => gradient((x) => tf.maxPool(x, size, stride, pad), values(count), [...shape]));
  });

  it('the gradient of max pooling goes to the first of equal elements', async () => {
    await expectSame(() => gradient((x) => tf.maxPool(x, 2, 2, 'valid'), tiedValues(96), [2, 6, 4, 2]));
    const all = await on(backend, () =>
      gradient((x) => tf.maxPool(x, 2, 2, 'valid'), new Float32Array(4), [1, 2, 2, 1]),
    );
    expect(Array.from(all, Math.abs).slice(1)).toEqual([0, 0, 0]);
    expect(all[0]).not.toBe(0);
  });
});
