import * as tf from '@tensorflow/tfjs';

/**
 * Cross-entropy with the teacher's probabilities as soft labels, per sample:
 * `-Σ_c p_c log q_c` with `p = softmax(teacher / T)`, `q = softmax(student / T)`, without a factor `T²`.
 *
 * It is the divergence from teacher to student plus the teacher's entropy, so it has the same gradient.
 *
 * @param studentLogits `[batch, classes]`
 * @param teacherLogits `[batch, classes]`, treated as a constant
 * @param temperature greater than 0
 * @returns `[batch]`, each at least the teacher's entropy
 */
export function softCrossEntropy(
  studentLogits: tf.Tensor2D,
  teacherLogits: tf.Tensor2D,
  temperature: number,
): tf.Tensor1D {
  return tf.tidy(() => {
    const logQ = tf.logSoftmax(tf.div(studentLogits, temperature) as tf.Tensor2D);
    const p = tf.softmax(tf.div(teacherLogits, temperature) as tf.Tensor2D);
    return tf.neg(tf.sum(tf.mul(p, logQ), 1)) as tf.Tensor1D;
  });
}
