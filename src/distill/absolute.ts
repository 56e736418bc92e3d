import * as tf from '@tensorflow/tfjs';

/** `|x|` with gradient 0 at 0; that of TensorFlow.js is -1 there. */
export function absolute<T extends tf.Tensor>(x: T): T {
  return tf.mul(x, tf.sign(x));
}
