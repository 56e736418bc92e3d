import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { backends } from '../../src/backend/registry.ts';
import { loadBackend } from '../../src/backend/select.ts';
import type { BackendName } from '../../src/backend/types.ts';
import { crossEntropy } from '../../src/distill/crossEntropy.ts';
import { createModel } from '../../src/models/index.ts';
import { createRandom } from '../../src/random.ts';
import { createSgd } from '../../src/training/optimizer.ts';
import { vjp } from '../../src/training/vjp.ts';
import { expectClose } from '../support/tensors.ts';

/** The backends that work here, and are not the reference; the others are named in the output of the tests. */
const usable: BackendName[] = [];
for (const backend of Object.values(backends)) {
  if (backend.name === 'cpu') continue;
  const probe = await backend.probe();
  if (probe.usable) usable.push(backend.name);
  else process.stderr.write(`parity: ${backend.name} is left out: ${probe.reason}\n`);
}
process.stderr.write(`parity: compared with cpu: ${usable.join(', ')}\n`);

/** Enough for batch normalisation, where a map has one pixel left: the variance of few numbers magnifies rounding. */
const BATCH = 12;
const CLASSES = 10;
const INPUT_SHAPE = [16, 16, 3] as const;
const MODELS = ['mlp', 'cnn-s', 'lenet5', 'resnet8', 'wrn-10-1', 'mobilenetv2'];

/** Numbers of the standard normal distribution, the same on every backend. */
function pixels(batch: number): tf.Tensor4D {
  const random = createRandom('parity', batch);
  const values = Float32Array.from({ length: batch * 16 * 16 * 3 }, () => random.normal());
  return tf.tensor4d(values, [batch, ...INPUT_SHAPE]);
}

/** Losses of training steps on one batch of `batch` images, and the logits and gradients of the first. */
async function train(model: string, steps: number, batch: number) {
  const student = createModel(model, { inputShape: INPUT_SHAPE, classes: CLASSES, seed: 5 });
  const sgd = createSgd(student.parameters, { momentum: 0.9, nesterov: true, weightDecay: 5e-4 });
  const images = pixels(batch);
  const labels = tf.tensor1d(
    Array.from({ length: batch }, (_, i) => i % CLASSES),
    'int32',
  );
  const losses: number[] = [];
  const first: { logits: ArrayLike<number>; gradients: ArrayLike<number>[] } = { logits: [], gradients: [] };
  for (let step = 0; step < steps; step++) {
    const pass = vjp(() => {
      const { logits } = student.forward(images, true);
      return [logits, tf.mean(crossEntropy(logits, labels))];
    }, [...student.parameters.values()]);
    losses.push((await pass.outputs[1]!.data())[0]!);
    if (step === 0) first.logits = await pass.outputs[0]!.data();
    const gradients = pass.backward([null, tf.scalar(1)]).map((gradient) => gradient!);
    if (step === 0) first.gradients = await Promise.all(gradients.map((gradient) => gradient.data()));
    sgd.apply(gradients, 0.01);
    tf.dispose(gradients);
  }
  const weights = await Promise.all([...student.parameters.values()].map((weight) => weight.data()));
  student.dispose();
  sgd.dispose();
  tf.dispose([images, labels]);
  return { ...first, losses, weights };
}

/** What a backend gives, computed once however many are compared with it. */
const references = new Map<string, ReturnType<typeof train>>();
async function trainedOn(backend: BackendName, model: string, steps: number, batch: number) {
  const key = `${backend} ${model} ${steps}`;
  await loadBackend(backend);
  const result = references.get(key) ?? train(model, steps, batch);
  references.set(key, result);
  return result;
}

describe.each(usable)('%s', (name) => {
  it.each(MODELS)(
    'has the logits, loss, gradients and updated weights of the reference: %s',
    async (model) => {
      const expected = await trainedOn('cpu', model, 1, BATCH);
      const actual = await trainedOn(name, model, 1, BATCH);
      // Relative to the largest element of each tensor, or 1; sums run in another order on each backend.
      expectClose(actual.logits, expected.logits, 1e-4);
      expectClose(actual.losses, expected.losses, 1e-5);
      for (const [i, gradient] of expected.gradients.entries())
        expectClose(actual.gradients[i]!, gradient, 5e-4);
      for (const [i, weight] of expected.weights.entries()) expectClose(actual.weights[i]!, weight, 1e-4);
    },
  );
});

describe.each(usable.filter((name) => name !== 'wasm'))('%s', (name) => {
  it.each(['cnn-s', 'resnet8'])('learns along the curve of wasm for 100 steps: %s', async (model) => {
    const expected = await trainedOn('wasm', model, 100, 16);
    const actual = await trainedOn(name, model, 100, 16);
    expect(expected.losses.at(-1)).toBeLessThan(expected.losses[0]! / 4);
    expectClose(actual.losses, expected.losses, 0.02);
  });
});
