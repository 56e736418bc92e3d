import * as tf from '@tensorflow/tfjs';
import { deviations } from './deviations.ts';

/**
 * Logits with mean 0 and standard deviation 1 over the classes: `(z - mean z) / (std z + 1e-7)`, so that a student need
 * not match the size of its teacher's logits, only their order and proportions. The deviation is that of the sample
 * (divided by `classes - 1`), as in the authors' code.
 *
 * A row of equal logits becomes 0, without a gradient.
 *
 * @param logits `[batch, classes]`
 * @see Sun et al., "Logit standardization in knowledge distillation", CVPR 2024, arXiv 2403.01427, section 4
 */
export function standardised(logits: tf.Tensor2D): tf.Tensor2D {
  return tf.tidy(() => {
    const { values, length } = deviations(logits, 1);
    const deviation = tf.div(length, Math.sqrt(logits.shape[1] - 1));
    return tf.div(values, tf.add(deviation, 1e-7)) as tf.Tensor2D;
  });
}
