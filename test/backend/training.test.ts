import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadBackend } from '../../src/backend/select.ts';
import { tensor } from './compare.ts';

beforeAll(async () => {
  await loadBackend('wasm');
});

/** Size of the WebAssembly heap, which never shrinks; absent from the declared type of the module. */
const heapBytes = () => (tf.backend() as unknown as { wasm: { HEAPU8: Uint8Array } }).wasm.HEAPU8.length;

/** Conv, batch norm, pool, depthwise, strided conv, dense: every kernel of the pack but the segment sum. */
function createTraining() {
  const filters = [
    [3, 3, 1, 4],
    [3, 3, 4, 1],
    [3, 3, 4, 8],
    [32, 3],
  ].map((shape, i) => tf.variable(tf.mul(tensor(shape, i + 1), 0.3)));
  const [first, depthwise, strided] = filters as tf.Variable<tf.Rank.R4>[];
  const dense = filters.at(-1)!;
  const [shift, scale] = [tf.zeros([4]) as tf.Tensor1D, tf.ones([4]) as tf.Tensor1D];
  const x = tensor([8, 8, 8, 1], 7) as tf.Tensor4D;
  const labels = tf.oneHot(tf.tensor1d([0, 1, 2, 0, 1, 2, 0, 1], 'int32'), 3);
  const optimizer = tf.train.adam(0.01);
  const loss = () => {
    const maps = tf.conv2d(x, first!, 1, 'same');
    const { mean, variance } = tf.moments(maps, [0, 1, 2]);
    const normal = tf.relu(tf.batchNorm(maps, mean as tf.Tensor1D, variance as tf.Tensor1D, shift, scale));
    const pooled = tf.maxPool(normal, 2, 2, 'same');
    const deep = tf.conv2d(tf.depthwiseConv2d(pooled, depthwise!, 1, 'same'), strided!, 2, 'same');
    const logits = tf.matMul(tf.reshape(deep, [8, 32]), dense);
    return tf.losses.softmaxCrossEntropy(labels, logits).asScalar();
  };
  return async (): Promise<number> => {
    const cost = optimizer.minimize(loss, true, filters)!;
    const [value] = await cost.data();
    cost.dispose();
    return value!;
  };
}

describe('training on wasm', () => {
  it('learns, and holds the same tensors and heap after 600 steps as after 100', async () => {
    const step = createTraining();
    const start = await step();
    for (let i = 1; i < 100; i++) await step();
    const tensors = tf.memory().numTensors;
    const heap = heapBytes();
    let end = start;
    for (let i = 100; i < 600; i++) end = await step();
    expect(end).toBeLessThan(start / 10);
    expect(tf.memory().numTensors).toBe(tensors);
    expect(heapBytes()).toBe(heap);
  });
});
