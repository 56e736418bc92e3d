import * as tf from '@tensorflow/tfjs';

/** Squared lengths up to this one count as zero. */
const ZERO = 1e-24;

/**
 * The Euclidean lengths of `x` over some axes, which are kept with size 1; a length of zero is given as 1. So `x` divided
 * by it stays zero where it was, and no gradient is infinite.
 */
export function lengths(x: tf.Tensor, axes: number | number[]): tf.Tensor {
  const squares = tf.sum(tf.square(x), axes, true);
  // A step has a gradient, 0, and a comparison has none.
  const isZero = tf.sub(1, tf.step(tf.sub(squares, ZERO)));
  return tf.sqrt(tf.add(squares, isZero));
}

/** `x / ‖x‖` over some axes; zero where `x` is zero. */
export function unit<T extends tf.Tensor>(x: T, axes: number | number[]): T {
  return tf.div(x, lengths(x, axes));
}
