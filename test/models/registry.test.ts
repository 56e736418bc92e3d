import * as tf from '@tensorflow/tfjs';
import '@tensorflow/tfjs-backend-wasm';
import { beforeAll, describe, expect, it } from 'vitest';
import { ShapeError, UsageError } from '../../src/errors.ts';
import { createModel, modelFactory } from '../../src/models/index.ts';
import { MODEL_NAMES } from '../../src/models/names.ts';
import type { ModelOptions } from '../../src/models/types.ts';

beforeAll(async () => {
  await tf.setBackend('wasm');
});

const cifar100: ModelOptions = { inputShape: [32, 32, 3], classes: 100, seed: 1 };
const mnist: ModelOptions = { inputShape: [28, 28, 1], classes: 10, seed: 1 };

interface Inspection {
  readonly parameters: number;
  /** `height x width x channels`, or widths, of features and logits. */
  readonly shapes: Record<string, string>;
}

const inspections = new Map<string, Inspection>();

/** Makes a model and runs it on one image; large models take their time, so once for all tests. */
function inspect(name: string, options: ModelOptions): Inspection {
  const key = `${name} ${options.inputShape} ${options.classes}`;
  const known = inspections.get(key);
  if (known) return known;
  const model = createModel(name, options);
  const shapes = tf.tidy(() => {
    const { logits, features } = model.forward(tf.zeros([1, ...options.inputShape]), false);
    return Object.fromEntries(
      Object.entries({ ...features, logits }).map(([key, tensor]) => [key, tensor.shape.slice(1).join('x')]),
    );
  });
  const parameters = [...model.parameters.values()].reduce((sum, { size }) => sum + size, 0);
  model.dispose();
  inspections.set(key, { parameters, shapes });
  return { parameters, shapes };
}

const shapesOf = (name: string, options: ModelOptions): Record<string, string> =>
  inspect(name, options).shapes;

const parametersOf = (name: string, options: ModelOptions): number => inspect(name, options).parameters;

/**
 * Parameters on CIFAR-100, as `sum(p.numel())` gives them for the definitions of RepDistiller
 * (github.com/HobbitLong/RepDistiller, models/ at eedab9d, mobilenetv2.py at b13aecc). Rounded, they are those of the
 * literature: ResNets 0.27M, 0.46M, 0.66M, 0.85M, 1.7M (He et al. 2016, table 6, with 5,850 fewer for its 10 classes),
 * WRN-16-2 0.70M and ResNet-56 0.86M (github.com/clovaai/overhaul-distillation, CIFAR-100/README.md).
 *
 * Those in between follow by whole blocks. A residual block of width w has 2·9w² + 4w, so 97,216 for the widths 16, 32
 * and 64 together: the step from resnet8 to 14 to 20. In VGG a convolution with its normalisation has 9·in·out + 3·out:
 * vgg11 is vgg8 with 590,592 and twice 2,360,832 more, vgg13 is vgg11 with 37,056 and 147,840 more.
 */
const published: Record<string, number> = {
  resnet8: 83_892,
  resnet14: 181_108,
  resnet20: 278_324,
  resnet32: 472_756,
  resnet44: 667_188,
  resnet56: 861_620,
  resnet110: 1_736_564,
  resnet8x4: 1_233_540,
  resnet32x4: 7_433_860,
  'wrn-16-2': 703_284,
  'wrn-40-1': 569_780,
  'wrn-40-2': 2_255_156,
  vgg8: 3_965_028,
  vgg11: 9_277_284,
  vgg13: 9_462_180,
  mobilenetv2: 812_836,
  // Made for this project or after a paper for other images: the sums of their layers.
  mlp: 3072 * 256 + 256 + (256 * 128 + 128) + (128 * 100 + 100),
  'cnn-s': 27 * 16 + 16 + (144 * 32 + 32) + (2048 * 64 + 64) + (64 * 100 + 100),
  lenet5: 75 * 6 + 6 + (150 * 16 + 16) + (576 * 120 + 120) + (120 * 84 + 84) + (84 * 100 + 100),
};

describe('parameters', () => {
  for (const [name, count] of Object.entries(published)) {
    it(`${name} has ${count.toLocaleString('en')} on CIFAR-100`, () => {
      expect(parametersOf(name, cifar100)).toBe(count);
    });
  }

  it('are counted for every name', () => {
    expect(MODEL_NAMES.filter((name) => !(name in published))).toEqual([]);
  });

  it('cnn-s has 105,866 on 28x28 pixels', () => {
    expect(parametersOf('cnn-s', mnist)).toBe(105_866);
  });

  it('lenet5 has 61,706 on 28x28 pixels, as LeNet-5 does without its sparse connections', () => {
    expect(parametersOf('lenet5', mnist)).toBe(61_706);
  });
});

/** The features before their rectifiers, and all others. */
function split(shapes: Record<string, string>) {
  const isPreact = ([layer]: [string, string]): boolean => layer.startsWith('preact');
  const entries = Object.entries(shapes);
  return {
    preacts: Object.fromEntries(entries.filter(isPreact)),
    others: Object.fromEntries(entries.filter((entry) => !isPreact(entry))),
  };
}

describe('features', () => {
  const residual = (widths: readonly number[]): Record<string, string> => ({
    stage1: `32x32x${widths[0]}`,
    stage2: `16x16x${widths[1]}`,
    stage3: `8x8x${widths[2]}`,
    embedding: `${widths[2]}`,
    logits: '100',
  });
  const vgg = {
    stage1: '16x16x128',
    stage2: '8x8x256',
    stage3: '4x4x512',
    stage4: '4x4x512',
    embedding: '512',
    logits: '100',
  };
  const expected: Record<string, Record<string, string>> = {
    mlp: { embedding: '128', logits: '100' },
    'cnn-s': { stage1: '32x32x16', stage2: '16x16x32', embedding: '64', logits: '100' },
    lenet5: { stage1: '32x32x6', stage2: '12x12x16', embedding: '84', logits: '100' },
    ...Object.fromEntries([8, 14, 20, 32, 44, 56, 110].map((d) => [`resnet${d}`, residual([16, 32, 64])])),
    resnet8x4: residual([64, 128, 256]),
    resnet32x4: residual([64, 128, 256]),
    'wrn-16-2': residual([32, 64, 128]),
    'wrn-40-2': residual([32, 64, 128]),
    vgg8: vgg,
    vgg11: vgg,
    vgg13: vgg,
    mobilenetv2: {
      stage1: '16x16x12',
      stage2: '8x8x16',
      stage3: '4x4x48',
      stage4: '2x2x160',
      embedding: '1280',
      logits: '100',
    },
  };
  for (const name of MODEL_NAMES) {
    it(`of ${name} on 32x32 pixels`, () => {
      const { preacts, others } = split(shapesOf(name, cifar100));
      expect(others).toEqual(expected[name]);
      // The same before the rectifier.
      const stages = Object.entries(others).filter(([layer]) => layer.startsWith('stage'));
      expect(preacts).toEqual(
        Object.fromEntries(stages.map(([layer, shape]) => [`preact${layer.slice(5)}`, shape])),
      );
    });
  }

  it('halve odd sizes upwards by strides and downwards by pooling', () => {
    const options: ModelOptions = { inputShape: [13, 15, 2], classes: 3, seed: 1 };
    expect(shapesOf('resnet8', options)).toMatchObject({
      stage1: '13x15x16',
      stage2: '7x8x32',
      stage3: '4x4x64',
    });
    expect(shapesOf('wrn-10-1', options)).toMatchObject({ stage2: '7x8x32', stage3: '4x4x64' });
    expect(shapesOf('mobilenetv2', options)).toMatchObject({
      stage1: '7x8x12',
      stage4: '1x1x160',
      logits: '3',
    });
    expect(shapesOf('vgg8', options)).toMatchObject({
      stage1: '6x7x128',
      stage3: '1x1x512',
      stage4: '1x1x512',
    });
    expect(shapesOf('cnn-s', options)).toMatchObject({ stage2: '6x7x32', logits: '3' });
    expect(shapesOf('lenet5', options)).toMatchObject({ stage2: '2x3x16', logits: '3' });
  });

  it('of vgg8 end at 3x3 on 28x28 pixels, and at 4x4 on 64x64 after a further pooling', () => {
    expect(shapesOf('vgg8', mnist)).toMatchObject({ stage4: '3x3x512', logits: '10' });
    expect(shapesOf('vgg8', { ...cifar100, inputShape: [64, 64, 3] })).toMatchObject({
      stage3: '8x8x512',
      stage4: '4x4x512',
    });
  });
});

describe('sizes of images', () => {
  for (const [name, least] of [
    ['mlp', 1],
    ['cnn-s', 4],
    ['lenet5', 12],
    ['resnet8', 1],
    ['wrn-10-1', 1],
    ['vgg8', 8],
    ['mobilenetv2', 1],
  ] as const) {
    it(`${name} takes ${least}x${least} pixels`, () => {
      expect(shapesOf(name, { inputShape: [least, least, 1], classes: 2, seed: 1 })).toMatchObject({
        logits: '2',
      });
    });
  }

  it('a smaller image than the least is refused with the least', () => {
    const make = () => createModel('lenet5', { inputShape: [28, 11, 1], classes: 10, seed: 1 });
    expect(make).toThrow(ShapeError);
    expect(make).toThrow('Model "lenet5" takes images of 12x12 pixels or more, got 28x11.');
  });

  it('a batch of another shape than the model was made for is refused', () => {
    const model = createModel('mlp', mnist);
    expect(() => model.forward(tf.zeros([2, 28, 28, 3]), false)).toThrow(
      'Model "mlp" takes images [batch, 28, 28, 1], got [2, 28, 28, 3].',
    );
    model.dispose();
  });

  it('options that are no sizes are refused', () => {
    expect(() => createModel('mlp', { ...mnist, inputShape: [28, 0, 1] })).toThrow(UsageError);
    expect(() => createModel('mlp', { ...mnist, classes: 2.5 })).toThrow(
      'the number of classes is a positive integer, got 2.5',
    );
  });
});

describe('names', () => {
  it('an unknown name is refused with the nearest and all others', () => {
    expect(() => modelFactory('resnet21')).toThrow(UsageError);
    expect(() => modelFactory('resnet21')).toThrow(
      /Unknown model "resnet21"; did you mean "resnet2?\d"\?.* Known: mlp, cnn-s/,
    );
  });

  it('wide residual networks of any depth 6n + 4 and any width are known', () => {
    expect(parametersOf('wrn-10-3', cifar100)).toBeGreaterThan(parametersOf('wrn-10-1', cifar100));
  });

  it('a wide residual network of another depth is refused with the rule and the nearest', () => {
    expect(() => modelFactory('wrn-18-2')).toThrow(UsageError);
    expect(() => modelFactory('wrn-18-2')).toThrow(/must be 6n \+ 4 .* got 18; the nearest is "wrn-16-2"/);
    expect(() => modelFactory('wrn-4-2')).toThrow(/the nearest is "wrn-10-2"/);
    expect(() => modelFactory('wrn-16-0')).toThrow('the widening must be 1 or more, got 0');
  });
});
