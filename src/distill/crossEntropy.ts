import * as tf from '@tensorflow/tfjs';

/**
 * Softmax cross-entropy with integer labels, per sample: `-log softmax(logits)[label]`, in nats.
 *
 * @param logits unnormalised scores, `[batch, classes]`
 * @param labels true classes, int32 `[batch]`
 * @returns `[batch]`, each at least 0
 */
export function crossEntropy(logits: tf.Tensor2D, labels: tf.Tensor1D): tf.Tensor1D {
  return tf.tidy(() => {
    const targets = tf.oneHot(labels, logits.shape[1]);
    return tf.neg(tf.sum(tf.mul(tf.logSoftmax(logits), targets), 1)) as tf.Tensor1D;
  });
}
