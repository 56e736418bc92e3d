import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { createModel } from '../../src/models/index.ts';
import { heNormal, heNormalFanOut, linearUniform } from '../../src/models/initialisers.ts';
import type { Model } from '../../src/models/types.ts';
import { Weights } from '../../src/models/weights.ts';
import { expectNoLeak } from '../support/tensors.ts';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const make = (name: string, seed: number): Model =>
  createModel(name, { inputShape: [8, 8, 3], classes: 5, seed });

const valuesOf = (model: Model): Record<string, number[]> =>
  Object.fromEntries(
    [...model.parameters].map(([name, variable]) => [name, Array.from(variable.dataSync())]),
  );

describe('the seed', () => {
  it('gives the same weights again', () => {
    expect(valuesOf(make('resnet8', 7))).toEqual(valuesOf(make('resnet8', 7)));
  });

  it('gives other weights when it is another', () => {
    const [a, b] = [valuesOf(make('resnet8', 7)), valuesOf(make('resnet8', 8))];
    for (const name of Object.keys(a).filter((key) => /conv|fc\.weight/.test(key))) {
      expect(a[name]).not.toEqual(b[name]);
    }
  });

  it('gives weights of one shape different values', () => {
    const { 'layer1.0.conv1.weight': first, 'layer1.0.conv2.weight': second } = valuesOf(make('resnet8', 7));
    expect(first).not.toEqual(second);
  });
});

describe('names', () => {
  it('are those of PyTorch, in its order', () => {
    const model = make('resnet8', 1);
    expect([...model.parameters.keys()].slice(0, 9)).toEqual([
      'conv1.weight',
      'bn1.weight',
      'bn1.bias',
      'layer1.0.conv1.weight',
      'layer1.0.bn1.weight',
      'layer1.0.bn1.bias',
      'layer1.0.conv2.weight',
      'layer1.0.bn2.weight',
      'layer1.0.bn2.bias',
    ]);
    expect([...model.parameters.keys()].slice(-5)).toEqual([
      'layer3.0.downsample.0.weight',
      'layer3.0.downsample.1.weight',
      'layer3.0.downsample.1.bias',
      'fc.weight',
      'fc.bias',
    ]);
    expect([...model.buffers.keys()].slice(0, 2)).toEqual(['bn1.running_mean', 'bn1.running_var']);
  });

  for (const [name, some] of [
    ['wrn-10-2', ['block1.layer.0.convShortcut.weight', 'bn1.weight', 'fc.bias']],
    ['vgg13', ['block0.0.bias', 'block0.1.weight', 'block4.3.weight', 'block4.4.bias', 'classifier.weight']],
    ['mobilenetv2', ['conv1.0.weight', 'blocks.6.0.conv.3.weight', 'conv2.1.bias', 'classifier.0.weight']],
  ] as const) {
    it(`of ${name} are those of RepDistiller`, () => {
      const model = make(name, 1);
      expect([...model.parameters.keys()]).toEqual(expect.arrayContaining([...some]));
      model.dispose();
    });
  }

  it('do not collide between models of one architecture', () => {
    const [a, b] = [make('cnn-s', 1), make('cnn-s', 2)];
    const names = [a, b].flatMap((model) => [...model.parameters.values()].map(({ name }) => name));
    expect(new Set(names).size).toBe(names.length);
  });

  it('can be given once in a model', () => {
    const weights = new Weights(1);
    weights.parameter('a', [1], heNormal);
    expect(() => weights.buffer('a', [1], heNormal)).toThrow('internal: a second weight named "a"');
  });
});

describe('initial values', () => {
  const spread = (
    shape: readonly number[],
    initialise: typeof heNormal,
  ): { mean: number; deviation: number } => {
    const values = Array.from(new Weights(3).parameter('w', shape, initialise).dataSync());
    const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
    return {
      mean,
      deviation: Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length),
    };
  };
  for (const [title, shape, initialise, deviation] of [
    ['He normal by fan-in of a convolution', [3, 3, 40, 80], heNormal, Math.sqrt(2 / 360)],
    ['He normal by fan-in of a dense layer', [100, 300], heNormal, Math.sqrt(2 / 100)],
    ['He normal by fan-out of a convolution', [3, 3, 40, 80], heNormalFanOut, Math.sqrt(2 / 720)],
    [
      'He normal by fan-out of a depthwise convolution',
      [3, 3, 3000, 1],
      heNormalFanOut,
      Math.sqrt(2 / 27000),
    ],
    ['uniform of a dense layer', [100, 300], linearUniform, 1 / Math.sqrt(3 * 100)],
  ] as const) {
    it(`${title} have the spread of their definition`, () => {
      const actual = spread(shape, initialise);
      expect(Math.abs(actual.deviation / deviation - 1)).toBeLessThan(0.02);
      expect(Math.abs(actual.mean / deviation)).toBeLessThan(0.02);
    });
  }
});

it('disposing of a model frees everything', async () => {
  await expectNoLeak(() => {
    for (const name of ['mlp', 'resnet8', 'mobilenetv2']) make(name, 1).dispose();
  });
});
