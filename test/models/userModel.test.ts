import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { UsageError } from '../../src/errors.ts';
import { createModel } from '../../src/models/index.ts';
import type { Model, ModelOptions } from '../../src/models/types.ts';
import { modelFromModule } from '../../src/models/userModel.ts';
import { expectNoLeak } from '../support/tensors.ts';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const options: ModelOptions = { inputShape: [6, 6, 1], classes: 4, seed: 1 };

const good = (given: ModelOptions): Model => createModel('mlp', given);

/** What the default function of a module would return, made from a good model. */
const load = (change: (model: Model) => unknown): Model =>
  modelFromModule({ default: (given: ModelOptions) => change(good(given)) }, 'my/net.js')(options);

describe('a module of the user', () => {
  it('gives the model that its default function makes', () => {
    const model = load((made) => made);
    expect(model.name).toBe('mlp');
    model.dispose();
  });

  it('is tried without a trace', async () => {
    await expectNoLeak(() => load((made) => made).dispose());
  });

  for (const [title, module, got] of [
    ['without a default export', { model: good }, 'got nothing as the default export'],
    [
      'whose default export is no function',
      { default: { layers: 3 } },
      'got an object as the default export',
    ],
    ['that is no module', null, 'got nothing as the default export'],
  ] as const) {
    it(`${title} is refused`, () => {
      expect(() => modelFromModule(module, 'my/net.js')).toThrow(UsageError);
      expect(() => modelFromModule(module, 'my/net.js')).toThrow(
        `my/net.js: expected "export default function (options) { ... }" that returns a model, ${got}.`,
      );
    });
  }

  for (const [title, change, message] of [
    [
      'returns nothing',
      () => undefined,
      'expected the default function to return a model or a tf.LayersModel, got nothing.',
    ],
    ['is async', async (made: Model) => made, 'got a promise (the function must not be async).'],
    [
      'lacks members',
      (made: Model) => ({ ...made, forward: undefined, buffers: [] }),
      '"buffers" must be a Map of tf.Variable, got an array; "forward" must be a function (images, training), got nothing.',
    ],
    [
      'has no parameters',
      (made: Model) => ({ ...made, parameters: new Map() }),
      '"parameters" must be a Map of tf.Variable with one entry or more, got a Map of 0 entries.',
    ],
    [
      'has parameters that are no variables',
      (made: Model) => ({ ...made, parameters: new Map([['w', [1, 2]]]) }),
      '"parameters" must be a Map of tf.Variable with one entry or more, got a Map of 1 entries.',
    ],
    [
      'is of another size',
      (made: Model) => ({ ...made, classes: 10 }),
      'asked for a model of images [6, 6, 1] and 4 classes, got one of [6, 6, 1] and 10.',
    ],
    [
      'gives logits of another shape',
      (made: Model) => ({ ...made, forward: () => ({ logits: tf.zeros([2, 5]), features: {} }) }),
      'with logits [batch, 4], so [2, 4] for 2 images, got a tensor [2, 5].',
    ],
    [
      'gives bare logits',
      (made: Model) => ({ ...made, forward: () => tf.zeros([2, 4]) }),
      'expected forward() to return { logits, features } with logits [batch, 4], so [2, 4] for 2 images, got nothing.',
    ],
    [
      'gives features that are no tensors of the batch',
      (made: Model) => ({
        ...made,
        forward: () => ({ logits: tf.zeros([2, 4]), features: { stage1: tf.zeros([3, 3]) } }),
      }),
      'expected feature "stage1" to be a tensor [batch, ...], got a tensor [3, 3].',
    ],
    [
      'fails in the forward pass',
      (made: Model) => ({
        ...made,
        forward: () => {
          throw new Error('no such layer');
        },
      }),
      'the forward pass of two black images failed: no such layer',
    ],
  ] as const) {
    it(`whose model ${title} is refused`, () => {
      expect(() => load(change as (model: Model) => unknown)).toThrow(UsageError);
      expect(() => load(change as (model: Model) => unknown)).toThrow(message);
    });
  }

  it('whose function fails is refused with what it said', () => {
    const failing = () => {
      throw new Error('no pretrained weights');
    };
    expect(() => modelFromModule({ default: failing }, 'net.js')(options)).toThrow(
      'net.js: making the model failed: no pretrained weights',
    );
  });

  it('that is refused after its model was made frees that model', async () => {
    await expectNoLeak(() => {
      expect(() => load((made) => ({ ...made, classes: 10 }))).toThrow(UsageError);
    });
  });
});

describe('a module of the user that returns a model of layers', () => {
  const layers = ({ inputShape, classes }: ModelOptions): tf.LayersModel =>
    tf.sequential({
      layers: [
        tf.layers.conv2d({ inputShape: [...inputShape], filters: 3, kernelSize: 3, activation: 'relu' }),
        tf.layers.batchNormalization(),
        tf.layers.dropout({ rate: 0.2 }),
        tf.layers.flatten(),
        tf.layers.dense({ units: classes }),
      ],
    });
  const create = modelFromModule({ default: layers }, 'nets/small.js');

  it('is named after the file, and its weights after the positions of their layers', () => {
    for (const model of [create(options), create(options)]) {
      expect(model.name).toBe('small');
      expect([...model.parameters.keys()]).toEqual([
        '0.kernel',
        '0.bias',
        '1.gamma',
        '1.beta',
        '4.kernel',
        '4.bias',
      ]);
      expect([...model.buffers.keys()]).toEqual(['1.moving_mean', '1.moving_variance']);
      model.dispose();
    }
  });

  it('numbers weights of one name within a nested model', () => {
    const nested = (given: ModelOptions): tf.LayersModel =>
      tf.sequential({
        layers: [
          tf.sequential({
            layers: [
              tf.layers.flatten({ inputShape: [...given.inputShape] }),
              tf.layers.dense({ units: 3 }),
              tf.layers.dense({ units: 3 }),
            ],
          }),
          tf.layers.dense({ units: given.classes }),
        ],
      });
    const model = modelFromModule({ default: nested }, 'nested.js')(options);
    expect([...model.parameters.keys()]).toEqual([
      '0.kernel',
      '0.bias',
      '0.kernel_1',
      '0.bias_1',
      '1.kernel',
      '1.bias',
    ]);
    model.dispose();
  });

  it('learns', async () => {
    const model = create(options);
    const images = tf.randomNormal([4, 6, 6, 1], 0, 1, 'float32', 1) as tf.Tensor4D;
    const labels = tf.oneHot([0, 1, 2, 3], 4).toFloat();
    const loss = (training: boolean): tf.Scalar =>
      tf.losses.softmaxCrossEntropy(labels, model.forward(images, training).logits);
    const variables = [...model.parameters.values()];
    const first = loss(false).dataSync()[0]!;
    for (let step = 0; step < 20; step++) {
      const { value, grads } = tf.variableGrads(() => loss(true), variables);
      tf.tidy(() => {
        for (const variable of variables)
          variable.assign(tf.sub(variable, tf.mul(grads[variable.name]!, 0.1)));
      });
      tf.dispose([value, grads]);
    }
    expect(loss(false).dataSync()[0]!).toBeLessThan(first * 0.7);
    model.dispose();
  });

  it('keeps its moving statistics in evaluation and moves them in training', () => {
    const model = create(options);
    const images = tf.randomNormal([4, 6, 6, 1]) as tf.Tensor4D;
    const mean = (): number[] => Array.from(model.buffers.get('1.moving_mean')!.dataSync());
    model.forward(images, false);
    expect(mean()).toEqual([0, 0, 0]);
    model.forward(images, true);
    expect(mean()).not.toEqual([0, 0, 0]);
    model.dispose();
  });

  it('leaves no tensor behind', async () => {
    create(options).dispose();
    await expectNoLeak(() => {
      const model = create(options);
      tf.tidy(() => void model.forward(tf.zeros([2, 6, 6, 1]), true));
      model.dispose();
    });
  });
});
