import * as tf from '@tensorflow/tfjs';
import type { Model } from '../models/types.ts';

/**
 * The logits of a whole set in evaluation mode, in the order of its samples.
 *
 * @param count samples in the set
 * @param gather normalised pixels of samples `[from, to)`, `[to - from, height, width, channels]`
 * @param afterBatch called between batches with the number of samples done; awaited, so that sockets get their turn
 * @returns `[count, classes]`, row-major
 */
export async function predict(
  model: Model,
  count: number,
  gather: (from: number, to: number) => Float32Array,
  afterBatch: (done: number) => Promise<void>,
): Promise<Float32Array> {
  const batchSize = 250;
  const logits = new Float32Array(count * model.classes);
  for (let from = 0; from < count; from += batchSize) {
    const to = Math.min(count, from + batchSize);
    const output = tf.tidy(() => {
      const images = tf.tensor4d(gather(from, to), [to - from, ...model.inputShape]);
      return model.forward(images, false).logits;
    });
    logits.set(await output.data<'float32'>(), from * model.classes);
    output.dispose();
    await afterBatch(to);
  }
  return logits;
}
