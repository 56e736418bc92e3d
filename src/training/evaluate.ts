import * as tf from '@tensorflow/tfjs';
import { createBatcher } from '../datasets/batch.ts';
import type { Dataset } from '../datasets/types.ts';
import type { Model } from '../models/types.ts';

/** Images in one forward pass. */
const BATCH_SIZE = 250;

/**
 * The logits of the whole test set in evaluation mode, in the order of its samples.
 *
 * @param afterBatch called between batches with the number of samples done; awaited, so that sockets get their turn.
 *   What it throws ends the prediction.
 * @returns `[testSize, classes]`, row-major
 */
export async function predictTestSet(
  model: Model,
  { test, imageShape, mean, std }: Dataset,
  afterBatch: (done: number) => Promise<void>,
): Promise<Float32Array> {
  const batcher = createBatcher({ set: test, imageShape, mean, std, augment: 'none' });
  const logits = new Float32Array(test.count * model.classes);
  for (let from = 0; from < test.count; from += BATCH_SIZE) {
    const to = Math.min(test.count, from + BATCH_SIZE);
    const { images, shape } = batcher.gather(Uint32Array.from({ length: to - from }, (_, i) => from + i));
    const output = tf.tidy(() => model.forward(tf.tensor4d(images, [...shape]), false).logits);
    logits.set(await output.data<'float32'>(), from * model.classes);
    output.dispose();
    await afterBatch(to);
  }
  return logits;
}
