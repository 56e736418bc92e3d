import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadBackend } from '../../src/backend/select.ts';
import { tensor } from './compare.ts';

beforeAll(async () => {
  await loadBackend('wasm');
});

const conv = { strides: [2, 2], pad: 'same', dataFormat: 'NHWC', dilations: [1, 1] };
const [map, half, vector] = [[2, 6, 6, 4], [2, 3, 3, 4], [4]];
const filterShape = [3, 3, 4, 4];
const depthwiseShape = [3, 3, 4, 1];

/** Each kernel of the pack, with inputs that it does not hand on to the stock kernel. */
const calls: [kernel: string, inputs: Record<string, number[]>, attrs: object][] = [
  [tf.Conv2D, { x: [2, 6, 16, 8], filter: [3, 3, 8, 4] }, conv],
  [tf.Conv2D, { x: [2, 6, 16, 64], filter: [1, 1, 64, 4] }, conv],
  [tf.Conv2DBackpropFilter, { x: map, dy: half }, { ...conv, filterShape }],
  [tf.Conv2DBackpropFilter, { x: map, dy: [2, 4, 4, 3] }, { ...conv, filterShape: [3, 3, 4, 3] }],
  [tf.Conv2DBackpropInput, { dy: half, filter: filterShape }, { ...conv, inputShape: map }],
  [tf.DepthwiseConv2dNativeBackpropFilter, { x: map, dy: half }, { ...conv, filterShape: depthwiseShape }],
  [tf.DepthwiseConv2dNativeBackpropInput, { dy: half, filter: depthwiseShape }, { ...conv, inputShape: map }],
  [tf.BatchMatMul, { a: [3, 5, 4], b: [3, 5, 2] }, { transposeA: true, transposeB: false }],
  [tf.MaxPoolGrad, { dy: half, input: map, output: half }, { filterSize: 2, strides: 2, pad: 'same' }],
  [tf.Sum, { x: map }, { axis: [0, 1, 2], keepDims: false }],
  [tf.Mean, { x: map }, { axis: [1, 2], keepDims: true }],
  [tf.Slice, { x: map }, { begin: [0, 1, 1, 0], size: [2, 4, 4, 4] }],
  [tf.Tile, { x: [1, 3] }, { reps: [2, 2] }],
  [tf.Identity, { x: map }, {}],
  [tf.Cast, { x: map }, { dtype: 'float32' }],
  [tf.Add, { a: map, b: vector }, {}],
  [
    tf.FusedBatchNorm,
    { x: map, mean: vector, variance: vector, offset: vector, scale: vector },
    { varianceEpsilon: 9 },
  ],
];

/** Tensors that remain after a kernel ran by itself: within an operation, the operation's scope would free the rest. */
function tensorsLeft(kernel: string, inputs: Record<string, tf.Tensor>, attrs: object): number {
  const before = tf.memory().numTensors;
  tf.engine().runKernel(kernel, inputs, attrs as tf.NamedAttrMap);
  return tf.memory().numTensors - before;
}

describe('a kernel on wasm leaves its result and nothing else', () => {
  for (const [kernel, shapes, attrs] of calls) {
    it(kernel, () => {
      const inputs = Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, tensor(shape)]));
      expect(tensorsLeft(kernel, inputs, attrs)).toBe(1);
    });
  }

  it(tf.UnsortedSegmentSum, () => {
    const inputs = { x: tensor([3, 2]), segmentIds: tf.tensor1d([0, 1, 0], 'int32') };
    expect(tensorsLeft(tf.UnsortedSegmentSum, inputs, { numSegments: 2 })).toBe(1);
  });
});
