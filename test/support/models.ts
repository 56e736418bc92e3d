import * as tf from '@tensorflow/tfjs';
import type { Model } from '../../src/models/types.ts';

/** What {@link linearModel} adds to its logits in training, so that no test mistakes one mode for the other. */
export const TRAINING_OFFSET = 1000;

/**
 * A model of one row of pixels whose logits can be worked out by hand: `images · weight + shift`, with the parameter
 * `weight` and the buffer `shift`. Its owner disposes of it.
 *
 * @param weight `[pixels, classes]`
 * @param shift `[classes]`
 */
export function linearModel(weight: readonly (readonly number[])[], shift: readonly number[]): Model {
  const [pixels, classes] = [weight.length, shift.length];
  const [w, b] = tf.tidy(() => [
    tf.variable(tf.tensor2d(weight.flat(), [pixels, classes])),
    tf.variable(tf.tensor1d([...shift]), false),
  ]);
  return {
    name: 'linear',
    inputShape: [1, 1, pixels],
    classes,
    parameters: new Map([['weight', w]]),
    buffers: new Map([['shift', b]]),
    forward: (images, training) => ({
      logits: tf.tidy(() => {
        const logits = tf.add(tf.matMul(tf.reshape(images, [-1, pixels]), w), b);
        return tf.add(logits, training ? TRAINING_OFFSET : 0) as tf.Tensor2D;
      }),
      features: {},
    }),
    dispose: () => tf.dispose([w, b]),
  };
}
