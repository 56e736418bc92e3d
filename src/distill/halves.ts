/** Batches of pairs: rows `i` and `i + batch / 2` belong together. */
import * as tf from '@tensorflow/tfjs';

/** The first and the second half of the rows. */
export function halves<T extends tf.Tensor>(x: T): [first: T, second: T] {
  return tf.split(x, 2) as [T, T];
}

/**
 * A loss that only the first half of the rows has, for the whole batch: doubled there, and 0 in the second half, so that
 * the mean over all rows is that over the first half.
 *
 * @param values `[batch / 2]`
 * @returns `[batch]`
 */
export function ofFirstHalf(values: tf.Tensor1D): tf.Tensor1D {
  return tf.concat([tf.mul(values, 2) as tf.Tensor1D, tf.zerosLike(values)]);
}
