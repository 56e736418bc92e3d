import * as tf from '@tensorflow/tfjs';

/**
 * Hinton's distillation loss per sample: `T² · KL(teacher ‖ student)`, both softened by the temperature `T`:
 * `T² · Σ_c p_c (log p_c - log q_c)` with `p = softmax(teacher / T)`, `q = softmax(student / T)`.
 *
 * The factor `T²` keeps the size of the gradients about the same at every temperature. The sum goes over the classes
 * and nothing is divided by their number; the mean over the batch is the caller's.
 *
 * @param studentLogits `[batch, classes]`
 * @param teacherLogits `[batch, classes]`; a constant where the teacher is another network
 * @param temperature greater than 0
 * @returns `[batch]`, each at least 0 up to rounding; 0 where student and teacher agree
 * @see Hinton, Vinyals & Dean 2015, arXiv 1503.02531, section 2
 */
export function softenedDivergence(
  studentLogits: tf.Tensor2D,
  teacherLogits: tf.Tensor2D,
  temperature: number,
): tf.Tensor1D {
  return tf.tidy(() => {
    const logQ = tf.logSoftmax(tf.div(studentLogits, temperature) as tf.Tensor2D);
    const logP = tf.logSoftmax(tf.div(teacherLogits, temperature) as tf.Tensor2D);
    const divergence = tf.sum(tf.mul(tf.exp(logP), tf.sub(logP, logQ)), 1);
    return tf.mul(divergence, temperature * temperature) as tf.Tensor1D;
  });
}
