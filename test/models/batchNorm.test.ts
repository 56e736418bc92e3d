import * as tf from '@tensorflow/tfjs';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { batchNorm } from '../../src/models/batchNorm.ts';
import type { MapLayer } from '../../src/models/layers.ts';
import { Weights } from '../../src/models/weights.ts';
import { expectClose, expectNoLeak } from '../support/tensors.ts';
import { expectGradients, randomVariable } from './gradients.ts';

const epsilon = 1e-5;
let weights: Weights;
let layer: MapLayer;
let x: tf.Variable<tf.Rank.R4>;

beforeAll(async () => {
  await tf.setBackend('cpu');
});

beforeEach(() => {
  weights = new Weights(1);
  layer = batchNorm(weights, 'bn', 3);
  x = randomVariable([2, 3, 2, 3], 1);
  weights.parameters.get('bn.weight')!.assign(tf.tensor1d([0.5, -1, 2]));
  weights.parameters.get('bn.bias')!.assign(tf.tensor1d([0.1, 0, -3]));
});

const buffer = (name: string): Float32Array =>
  weights.buffers.get(`bn.running_${name}`)!.dataSync() as Float32Array;

/** The definition, in operations that TensorFlow.js differentiates itself. */
function composite(): tf.Tensor {
  const { mean, variance } = tf.moments(x, [0, 1, 2]);
  const normalised = tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, epsilon)));
  return tf.add(tf.mul(normalised, weights.parameters.get('bn.weight')!), weights.parameters.get('bn.bias')!);
}

describe('in training', () => {
  it('normalises by the statistics of the batch', () => {
    expectClose(layer(x, true).dataSync(), composite().dataSync(), 1e-6);
  });

  it('has the gradients of its definition', () => {
    const variables = [x, ...weights.parameters.values()];
    const gradients = (output: () => tf.Tensor): tf.NamedTensorMap =>
      tf.variableGrads(() => tf.sum(tf.square(tf.sin(output()))), variables).grads;
    const actual = gradients(() => layer(x, true));
    const expected = gradients(composite);
    for (const { name } of variables) {
      expectClose(actual[name]!.dataSync(), expected[name]!.dataSync(), 1e-5);
    }
  });

  it('has the gradients of finite differences', () => {
    expectGradients(() => layer(x, true), [x, ...weights.parameters.values()]);
  });

  it('keeps its precision on values far from zero', () => {
    const far = tf.add(x, 1000) as tf.Tensor4D;
    expectClose(layer(far, true).dataSync(), composite().dataSync(), 2e-3);
  });

  it('moves the running mean and the unbiased variance by a tenth', () => {
    const values = Array.from(x.dataSync());
    layer(x, true);
    for (let c = 0; c < 3; c++) {
      const column = values.filter((_, i) => i % 3 === c);
      const mean = column.reduce((sum, v) => sum + v, 0) / 12;
      const variance = column.reduce((sum, v) => sum + (v - mean) ** 2, 0) / 11;
      expect(buffer('mean')[c]).toBeCloseTo(0.1 * mean, 6);
      expect(buffer('var')[c]).toBeCloseTo(0.9 + 0.1 * variance, 6);
    }
  });

  it('moves the running statistics once when the pass is differentiated', () => {
    layer(x, true);
    const once = Array.from(buffer('mean'));
    weights.buffers.get('bn.running_mean')!.assign(tf.zeros([3]));
    tf.variableGrads(() => tf.sum(layer(x, true)));
    expect(Array.from(buffer('mean'))).toEqual(once);
  });

  it('stays finite on a single value per channel', () => {
    const y = layer(tf.ones([1, 1, 1, 3]), true);
    expectClose(y.dataSync(), [0.1, 0, -3], 1e-6);
    expect([...buffer('mean'), ...buffer('var')].every(Number.isFinite)).toBe(true);
  });

  it('leaves no tensor behind', async () => {
    await expectNoLeak(() => {
      const { value, grads } = tf.variableGrads(() => tf.sum(layer(x, true)));
      tf.dispose([value, grads]);
    });
  });
});

describe('in evaluation', () => {
  beforeEach(() => {
    weights.buffers.get('bn.running_mean')!.assign(tf.tensor1d([1, 2, 3]));
    weights.buffers.get('bn.running_var')!.assign(tf.tensor1d([4, 1, 0.25]));
  });

  it('normalises by the running statistics', () => {
    const y = layer(tf.tensor4d([3, 2, 4], [1, 1, 1, 3]), false);
    expectClose(y.dataSync(), [0.5 + 0.1, 0, 4 - 3], 1e-4);
  });

  it('does not move the running statistics', () => {
    layer(x, false);
    expect([...buffer('mean'), ...buffer('var')]).toEqual([1, 2, 3, 4, 1, 0.25]);
  });

  it('has the gradients of finite differences', () => {
    expectGradients(() => layer(x, false), [x, ...weights.parameters.values()]);
  });
});
