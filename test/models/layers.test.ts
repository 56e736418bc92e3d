import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  conv2d,
  dense,
  depthwiseConv2d,
  flatten,
  globalAveragePool,
  maxPool2,
} from '../../src/models/layers.ts';
import { Weights } from '../../src/models/weights.ts';
import { expectClose } from '../support/tensors.ts';
import { expectGradients, randomVariable } from './gradients.ts';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const ones = (shape: readonly number[]): tf.Tensor => tf.ones([...shape]);

describe('gradients agree with finite differences', () => {
  const x = randomVariable<tf.Rank.R4>([2, 5, 4, 2], 1);
  const cases: Record<string, (weights: Weights) => () => tf.Tensor> = {
    'a 3x3 convolution': (weights) => {
      const layer = conv2d(weights, 'conv', 2, 3, { kernel: 3 });
      return () => layer(x, true);
    },
    'a strided convolution with bias': (weights) => {
      const layer = conv2d(weights, 'conv', 2, 3, { kernel: 3, stride: 2, bias: true });
      return () => layer(x, true);
    },
    'a strided 1x1 convolution': (weights) => {
      const layer = conv2d(weights, 'conv', 2, 3, { kernel: 1, stride: 2 });
      return () => layer(x, true);
    },
    'a convolution without padding': (weights) => {
      const layer = conv2d(weights, 'conv', 2, 2, { kernel: 2, padding: 'valid' });
      return () => layer(x, true);
    },
    'a depthwise convolution': (weights) => {
      const layer = depthwiseConv2d(weights, 'conv', 2, 1);
      return () => layer(x, true);
    },
    'a strided depthwise convolution': (weights) => {
      const layer = depthwiseConv2d(weights, 'conv', 2, 2);
      return () => layer(x, true);
    },
    'a dense layer on flattened maps': (weights) => {
      const layer = dense(weights, 'fc', 40, 3);
      return () => layer(flatten(x));
    },
    'maximum pooling of an odd size': () => () => maxPool2(x),
    'global average pooling': () => () => globalAveragePool(x),
  };
  for (const [title, make] of Object.entries(cases)) {
    it(title, () => {
      const weights = new Weights(5);
      const output = make(weights);
      expectGradients(output, [x, ...weights.parameters.values()]);
      weights.dispose();
    });
  }
});

describe('convolutions pad as PyTorch does', () => {
  // A kernel of ones counts the pixels under each window; torch.nn.Conv2d(1, 1, 3, stride=2, padding=1) on ones gives this.
  for (const [size, expected] of [
    [4, [4, 6, 6, 9]],
    [5, [4, 6, 4, 6, 9, 6, 4, 6, 4]],
  ] as const) {
    it(`stride 2 on ${size}x${size} pixels`, () => {
      const weights = new Weights(1);
      const layers = [
        conv2d(weights, 'conv', 1, 1, { kernel: 3, stride: 2 }),
        depthwiseConv2d(weights, 'depthwise', 1, 2),
      ];
      for (const variable of weights.parameters.values()) variable.assign(ones(variable.shape));
      for (const layer of layers) {
        expectClose(layer(tf.ones([1, size, size, 1]), false).dataSync(), expected, 0);
      }
      weights.dispose();
    });
  }
});

it('pooling drops the last row and column of an odd size', () => {
  const maps = tf.tensor4d([1, 2, 9, 3, 4, 9, 9, 9, 9], [1, 3, 3, 1]);
  expect([...maxPool2(maps).dataSync()]).toEqual([4]);
});
