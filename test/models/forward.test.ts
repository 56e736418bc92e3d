import * as tf from '@tensorflow/tfjs';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { loadBackend } from '../../src/backend/select.ts';
import { createModel } from '../../src/models/index.ts';
import type { Model } from '../../src/models/types.ts';
import { vjp } from '../../src/training/vjp.ts';
import { expectNoLeak } from '../support/tensors.ts';

beforeAll(async () => {
  await loadBackend('wasm');
});
afterEach(() => {
  vi.restoreAllMocks();
});

const families: Record<string, number> = {
  mlp: 8,
  'cnn-s': 8,
  lenet5: 12,
  resnet8: 8,
  'wrn-10-1': 8,
  vgg8: 8,
  mobilenetv2: 8,
};

const make = (name: string): Model =>
  createModel(name, { inputShape: [families[name]!, families[name]!, 1], classes: 3, seed: 1 });

const imagesFor = (model: Model): tf.Tensor4D =>
  tf.randomNormal([2, ...model.inputShape], 0, 1, 'float32', 3);

const buffersOf = (model: Model): number[][] =>
  [...model.buffers.values()].map((buffer) => Array.from(buffer.dataSync()));

describe.for(Object.keys(families))('%s', (name) => {
  it('has a gradient for every parameter, leaving no tensor behind and reading none', async () => {
    const model = make(name);
    const images = imagesFor(model);
    const reads = [vi.spyOn(tf.engine(), 'readSync'), vi.spyOn(tf.engine(), 'read')];
    await expectNoLeak(() => {
      const { value, grads } = tf.variableGrads(() => tf.sum(tf.square(model.forward(images, true).logits)));
      for (const [parameter, { name: id }] of model.parameters) {
        expect(grads[id]?.shape, parameter).toEqual(model.parameters.get(parameter)!.shape);
      }
      expect(Object.keys(grads).length).toBe(model.parameters.size);
      tf.dispose([value, grads]);
    });
    for (const read of reads) expect(read).not.toHaveBeenCalled();
    model.dispose();
    images.dispose();
  });

  it('gives its outputs and nothing else to the caller, in training and in evaluation', async () => {
    const model = make(name);
    const images = imagesFor(model);
    for (const training of [true, false]) {
      await expectNoLeak(() => {
        const before = tf.memory().numTensors;
        const { logits, features } = model.forward(images, training);
        expect(tf.memory().numTensors - before).toBe(1 + Object.keys(features).length);
        tf.dispose([logits, { ...features }]);
      });
    }
    model.dispose();
    images.dispose();
  });

  it('gives the maps of its stages before their rectifiers too, with both signs', () => {
    const model = make(name);
    const images = imagesFor(model);
    tf.tidy(() => {
      const { features } = model.forward(images, true);
      for (const [layer, maps] of Object.entries(features).filter(([each]) => each.startsWith('preact'))) {
        const before = maps.dataSync();
        const after = features[`stage${layer.slice('preact'.length)}`]!.dataSync();
        expect(Math.min(...before), layer).toBeLessThan(0);
        expect(Math.max(...before), layer).toBeGreaterThan(0);
        if (name === 'mobilenetv2') expect(before).toEqual(after);
        else if (name !== 'wrn-10-1') expect(before.map((value) => Math.max(value, 0))).toEqual(after);
      }
    });
    model.dispose();
    images.dispose();
  });

  it('changes its buffers in training only', () => {
    const model = make(name);
    const images = imagesFor(model);
    const initial = buffersOf(model);
    tf.tidy(() => void model.forward(images, false));
    expect(buffersOf(model)).toEqual(initial);
    tf.tidy(() => void model.forward(images, true));
    for (const [i, buffer] of buffersOf(model).entries()) expect(buffer).not.toEqual(initial[i]);
  });
});

it('features carry gradients through a tape taken out of the engine', async () => {
  const model = make('resnet8');
  const images = imagesFor(model);
  const variables = [...model.parameters.values()];
  await expectNoLeak(() => {
    const pass = vjp(() => {
      const { logits, features } = model.forward(images, true);
      return [logits, features.stage1!];
    }, variables);
    const cotangent = tf.onesLike(pass.outputs[1]!);
    const gradients = pass.backward([null, cotangent]);
    const reached = [...model.parameters.keys()].filter((_, i) => gradients[i] !== null);
    expect(reached).toContain('layer1.0.bn2.bias');
    expect(reached).not.toContain('layer2.0.conv1.weight');
    tf.dispose(cotangent);
    tf.dispose(gradients.filter((gradient) => gradient !== null));
  });
});
