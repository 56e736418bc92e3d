import * as tf from '@tensorflow/tfjs';

/**
 * The value itself, whose gradient is multiplied on its way back: by 0 for what is to be a constant, by a negative
 * number for what is to climb where everything else descends.
 *
 * @see Ganin & Lempitsky, "Unsupervised domain adaptation by backpropagation", ICML 2015, arXiv 1409.7495, section 3
 */
export function scaledGradient<T extends tf.Tensor>(x: T, factor: number): T {
  const identity = tf.customGrad((value) => ({
    value: tf.clone(value as tf.Tensor),
    gradFunc: (dy: tf.Tensor) => (factor === 0 ? tf.zerosLike(dy) : tf.mul(dy, factor)),
  }));
  return identity(x) as T;
}
