import * as tf from '@tensorflow/tfjs';

/** Vectors without their mean, and how long they are. */
export interface Deviations {
  /** Of the input's shape. */
  readonly values: tf.Tensor2D;
  /** The Euclidean length of each vector, at least 0; the axis is kept with size 1. */
  readonly length: tf.Tensor2D;
}

/** Squared, of the length to that of the vector: float32 rounds to 6e-8 of each number. */
const ROUNDING = 1e-12;

/**
 * The deviations of the vectors along an axis from their mean, for what divides by their length.
 *
 * A vector that is constant up to rounding has the deviations 0 and the length 1, and no gradient: dividing there would
 * make noise, or gradients that are not numbers, of nothing.
 *
 * @param x `[rows, columns]`
 * @param axis 0 for columns as the vectors, 1 for rows
 */
export function deviations(x: tf.Tensor2D, axis: 0 | 1): Deviations {
  const centred = (values: tf.Tensor): tf.Tensor => tf.sub(values, tf.mean(values, axis, true));
  // Twice: the mean of many large numbers is rounded, and that of what is left is not.
  const values = centred(centred(x));
  const squared = tf.sum(tf.square(values), axis, true);
  const varies = tf.step(tf.sub(squared, tf.mul(tf.sum(tf.square(x), axis, true), ROUNDING)));
  const safe = tf.add(tf.mul(squared, varies), tf.sub(1, varies));
  return { values: tf.mul(values, varies) as tf.Tensor2D, length: tf.sqrt(safe) as tf.Tensor2D };
}

/**
 * Pearson's correlation of the vectors of `a` with those of `b`: from -1 to 1, and 0 where one is constant.
 *
 * @param axis 0 for columns as the vectors, 1 for rows
 * @returns one for each pair
 */
export function correlations(a: tf.Tensor2D, b: tf.Tensor2D, axis: 0 | 1): tf.Tensor1D {
  const [left, right] = [deviations(a, axis), deviations(b, axis)];
  const lengths = tf.squeeze(tf.mul(left.length, right.length), [axis]);
  return tf.div(tf.sum(tf.mul(left.values, right.values), axis), tf.add(lengths, 1e-8)) as tf.Tensor1D;
}
