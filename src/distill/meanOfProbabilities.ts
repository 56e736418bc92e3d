import * as tf from '@tensorflow/tfjs';

/** Keeps the logarithm of a probability of 0 finite. */
const SMALLEST = 1e-30;

/**
 * Logits `t` such that `softmax(t / T)` is the mean of `softmax(z / T)` over several networks.
 *
 * @param logits at least one `[batch, classes]`
 */
export function meanOfProbabilities(logits: readonly tf.Tensor2D[], temperature: number): tf.Tensor2D {
  return tf.tidy(() => {
    const [only, ...others] = logits;
    if (others.length === 0) return tf.clone(only!);
    const probabilities = logits.map((z) => tf.softmax(tf.div(z, temperature) as tf.Tensor2D));
    const mean = tf.div(tf.addN(probabilities), logits.length);
    return tf.mul(tf.log(tf.maximum(mean, SMALLEST)), temperature) as tf.Tensor2D;
  });
}
