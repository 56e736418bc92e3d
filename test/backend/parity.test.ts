import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { createModel } from '../../src/models/index.ts';
import type { Model } from '../../src/models/types.ts';
import { projectRoot } from '../../src/paths.ts';
import { createOptimizer, type OptimizerSettings } from '../../src/training/createOptimizer.ts';
import { clipByGlobalNorm } from '../../src/training/optimizer.ts';
import { type UsableBackend, usableBackends, useBackend } from '../support/backends.ts';
import { normals, normOf } from '../support/numeric.ts';
import { expectClose } from '../support/tensors.ts';
import {
  batchOf,
  CLASSES,
  firstStepOf,
  MODELS,
  passOf,
  projectionOf,
  type Reference,
  sizesOf,
} from './firstStep.ts';

const usable = await usableBackends('parity with cpu');
const compared = usable.filter(({ name }) => name !== 'cpu');
const cpu: UsableBackend = { name: 'cpu' };

/** What cpu gives, which takes minutes: written down by test/fixtures/backends/make.ts. */
const references: Record<string, Reference> = JSON.parse(
  readFileSync(join(projectRoot, 'test', 'fixtures', 'backends', 'cpu.json'), 'utf8'),
);

/**
 * How far the gradients of a model may be from those of cpu, as a share of their length; sums run in another order on
 * each backend. A unit that stands within rounding of the corner of relu may be on or off: in deep networks there always
 * is one.
 */
const gradientTolerance = (model: string): number =>
  /^(resnet(32|44|56|110|32x4)|wrn-40-2|mobilenetv2)$/.test(model) ? 0.05 : 1e-3;

/** Fails unless a first step is that of the reference. */
function expectStep(model: string, actual: Reference): void {
  const expected = references[model]!;
  // Relative to the largest element, or 1.
  expectClose(actual.logits, expected.logits, 1e-4);
  expectClose([actual.loss], [expected.loss], 1e-5);
  expect(actual.gradients).toHaveLength(expected.gradients.length);
  // Some are 0 but for rounding, such as that of a bias in front of a normalisation.
  const least = 1e-3 * Math.hypot(...expected.gradients.map(([length]) => length));
  for (const [i, projection] of expected.gradients.entries()) {
    const scale = Math.max(projection[0], least);
    for (const [k, value] of projection.entries()) {
      const difference = Math.abs(actual.gradients[i]![k]! - value) / scale;
      expect(difference, `gradient ${i}, ${k}`).toBeLessThanOrEqual(gradientTolerance(model));
    }
  }
}

describe('the reference', () => {
  it('has every model', () => {
    expect(Object.keys(references)).toEqual(MODELS);
  });

  it.each(['mlp', 'cnn-s', 'lenet5', 'resnet8'])('is what cpu gives today: %s', async (model) => {
    await useBackend(cpu);
    expectStep(model, await firstStepOf(model));
  });
});

describe.each(compared)('a first step on $name', (backend) => {
  it.each(MODELS)('has the logits, loss and gradients of cpu: %s', async (model) => {
    await useBackend(backend);
    expectStep(model, await firstStepOf(model));
  });
});

const SGD = { name: 'sgd', momentum: 0, nesterov: false, weightDecay: 0 } as const;
const ADAM = { name: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 } as const;
const SETTINGS: readonly [string, OptimizerSettings, clipNorm: number | null][] = [
  ['plain', SGD, null],
  ['momentum', { ...SGD, momentum: 0.9 }, null],
  ['Nesterov momentum', { ...SGD, momentum: 0.9, nesterov: true }, null],
  ['weight decay', { ...SGD, weightDecay: 0.1 }, null],
  ['decoupled weight decay', { ...SGD, momentum: 0.9, weightDecay: 0.1, decoupled: true }, null],
  ['weight decay of kernels', { ...SGD, weightDecay: 0.1, decayNormAndBias: false }, null],
  ['a clipped norm', SGD, 1],
  ['all of it', { ...SGD, momentum: 0.9, nesterov: true, weightDecay: 5e-4 }, 5],
  ['adam', { ...ADAM, weightDecay: 0.1 }, null],
  ['adamw', { ...ADAM, name: 'adamw', weightDecay: 0.1 }, 1],
];

/** The weights after three steps with gradients that are the same on every backend. */
async function updated(settings: OptimizerSettings, clipNorm: number | null) {
  const model = createModel('cnn-s', { inputShape: [8, 8, 3], classes: CLASSES, seed: 5 });
  const optimizer = createOptimizer(model.parameters, settings);
  for (let step = 0; step < 3; step++) {
    const gradients = [...model.parameters].map(([name, { shape, size }]) =>
      tf.tensor(normals(size, 1, `${name} ${step}`), shape),
    );
    const clipped = clipNorm === null ? gradients : clipByGlobalNorm(gradients, clipNorm);
    optimizer.apply(clipped, 0.1, step);
    for (const gradient of [...gradients, ...clipped]) gradient?.dispose();
  }
  const weights: Float32Array[] = [];
  for (const weight of model.parameters.values()) weights.push((await weight.data()) as Float32Array);
  optimizer.dispose();
  model.dispose();
  return weights;
}

describe.each(compared)('the optimiser on $name', (backend) => {
  it.each(SETTINGS)('takes the steps of cpu: %s', async (_, settings, clipNorm) => {
    await useBackend(cpu);
    const expected = await updated(settings, clipNorm);
    await useBackend(backend);
    const actual = await updated(settings, clipNorm);
    for (const [i, weights] of expected.entries()) expectClose(actual[i]!, weights, 1e-5);
  });

  // From one tensor to three hundred, of which the norm is taken.
  it.each(['mlp', 'resnet8', 'mobilenetv2', 'resnet110'])(
    'takes the step worked out in float64: %s',
    async (name) => {
      await useBackend(backend);
      const { size, batch: count } = sizesOf(name);
      const model = createModel(name, { inputShape: [size, size, 3], classes: CLASSES, seed: 5 });
      const batch = batchOf(count, [size, size, 3]);
      const { gradients } = await passOf(model, batch);
      const read = async (tensors: Iterable<tf.Tensor>): Promise<ArrayLike<number>[]> => {
        const values: ArrayLike<number>[] = [];
        for (const tensor of tensors) values.push(await tensor.data());
        return values;
      };
      const [before, slopes] = [await read(model.parameters.values()), await read(gradients)];
      const norm = normOf(slopes.map((values) => projectionOf(values)[0]));
      const limit = norm / 2;
      const clipped = clipByGlobalNorm(gradients, limit);
      const settings = { ...SGD, momentum: 0.9, nesterov: true, weightDecay: 0.01 };
      const optimizer = createOptimizer(model.parameters, settings);
      optimizer.apply(clipped, 0.1, 0);
      for (const [i, after] of (await read(model.parameters.values())).entries()) {
        const expected = Array.from(before[i]!, (w, k) => {
          const slope = slopes[i]![k]! / 2 + 0.01 * w;
          return w - 0.1 * (slope + 0.9 * slope);
        });
        expectClose(after, expected, 1e-5);
      }
      for (const tensor of [...gradients, ...clipped, batch.images, batch.labels]) tensor?.dispose();
      optimizer.dispose();
      model.dispose();
    },
  );
});

/** Small, for lavapipe's sake: 100 steps take it some ten seconds. */
const CURVE_SHAPE = [8, 8, 1] as const;

/** The losses of 100 steps on one batch, learnt by heart. */
async function curveOf(name: string): Promise<number[]> {
  const model: Model = createModel(name, { inputShape: CURVE_SHAPE, classes: CLASSES, seed: 5 });
  const optimizer = createOptimizer(model.parameters, { ...SGD, momentum: 0.9, weightDecay: 5e-4 });
  const batch = batchOf(8, [...CURVE_SHAPE]);
  const losses: number[] = [];
  for (let step = 0; step < 100; step++) {
    const { loss, gradients } = await passOf(model, batch);
    losses.push(loss);
    optimizer.apply(gradients, 0.01, step);
    tf.dispose(gradients);
  }
  tf.dispose([batch.images, batch.labels]);
  optimizer.dispose();
  model.dispose();
  return losses;
}

const curves = new Map<string, Promise<number[]>>();

describe.each(compared.filter(({ name }) => name !== 'wasm'))('a hundred steps on $name', (backend) => {
  it.each(['cnn-s', 'resnet8'])('learn along the curve of wasm: %s', async (model) => {
    await useBackend({ name: 'wasm' });
    const known = curves.get(model) ?? curveOf(model);
    curves.set(model, known);
    const expected = await known;
    await useBackend(backend);
    const actual = await curveOf(model);
    expect(expected.at(-1)).toBeLessThan(expected[0]! / 4);
    expectClose(actual, expected, 0.01);
  });
});
