import * as tf from '@tensorflow/tfjs';
import { crossEntropy } from '../../src/distill/crossEntropy.ts';
import { createModel } from '../../src/models/index.ts';
import { MODEL_NAMES } from '../../src/models/names.ts';
import type { Model } from '../../src/models/types.ts';
import { createRandom } from '../../src/random.ts';
import { vjp } from '../../src/training/vjp.ts';

export const CLASSES = 10;

/** Every named model, and the smallest wide residual network of the others. */
export const MODELS: readonly string[] = [...MODEL_NAMES, 'wrn-10-1'];

/** Images and a batch as small as the model takes; more of them where normalisation would see but one pixel of each. */
export function sizesOf(model: string): { readonly size: number; readonly batch: number } {
  if (model === 'lenet5') return { size: 12, batch: 4 };
  if (model === 'mobilenetv2') return { size: 8, batch: 16 };
  return { size: 8, batch: model.startsWith('vgg') ? 8 : 4 };
}

export interface Batch {
  readonly images: tf.Tensor4D;
  readonly labels: tf.Tensor1D;
}

/** Images of normally distributed pixels, and labels: the same on every backend. */
export function batchOf(count: number, shape: readonly [number, number, number]): Batch {
  const random = createRandom('parity', count);
  const pixels = Float32Array.from({ length: count * shape[0] * shape[1] * shape[2] }, () => random.normal());
  const labels = Int32Array.from({ length: count }, (_, i) => i % CLASSES);
  return { images: tf.tensor4d(pixels, [count, ...shape]), labels: tf.tensor1d(labels, 'int32') };
}

/** Logits, mean loss and gradients of one batch. The gradients are owned by the caller. */
export async function passOf(model: Model, { images, labels }: Batch) {
  const pass = vjp(() => {
    const { logits } = model.forward(images, true);
    return [logits, tf.mean(crossEntropy(logits, labels))];
  }, [...model.parameters.values()]);
  const [logits, loss] = await Promise.all(pass.outputs.map((output) => output.data()));
  const one = tf.scalar(1);
  const gradients = pass.backward([null, one]).map((gradient) => gradient!);
  one.dispose();
  return { logits: logits!, loss: loss![0]!, gradients };
}

/** The Euclidean length of a tensor, and its products with two vectors of pseudo-random signs. */
export type Projection = readonly [length: number, first: number, second: number];

export function projectionOf(values: ArrayLike<number>): Projection {
  let state = 1;
  let [squares, first, second] = [0, 0, 0];
  for (let i = 0; i < values.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const value = values[i]!;
    squares += value * value;
    first += state & 0x8000_0000 ? value : -value;
    second += state & 0x4000_0000 ? value : -value;
  }
  return [Math.sqrt(squares), first, second];
}

export interface Reference {
  readonly logits: readonly number[];
  readonly loss: number;
  /** Of each parameter's gradient, in their order. */
  readonly gradients: readonly Projection[];
}

/** What the current backend gives for a model with fresh weights. */
export async function firstStepOf(name: string): Promise<Reference> {
  const { size, batch: count } = sizesOf(name);
  const shape = [size, size, 3] as const;
  const model = createModel(name, { inputShape: shape, classes: CLASSES, seed: 5 });
  const batch = batchOf(count, [...shape]);
  const { logits, loss, gradients } = await passOf(model, batch);
  const projections: Projection[] = [];
  for (const gradient of gradients) projections.push(projectionOf(await gradient.data()));
  tf.dispose([...gradients, batch.images, batch.labels]);
  model.dispose();
  return { logits: [...logits], loss, gradients: projections };
}
