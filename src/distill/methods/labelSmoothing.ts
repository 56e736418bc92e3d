import * as tf from '@tensorflow/tfjs';
import { z } from 'zod';
import { crossEntropy } from '../crossEntropy.ts';
import type { Method } from '../types.ts';

const options = z.strictObject({
  epsilon: z.number().min(0).lt(1).default(0.1).describe('share of the label that all classes get evenly'),
});

/**
 * Label smoothing, in the place of the cross-entropy to the labels: that to `(1 - ε) · y + ε / classes`, which is
 * `(1 - ε) · CE(z, y) + ε · mean_c(-log softmax(z)_c)`. The true class has its part of `ε` too. Mean over the batch.
 *
 * A control: it softens labels as a teacher would, and knows nothing.
 *
 * @see Szegedy et al., "Rethinking the Inception architecture for computer vision", CVPR 2016, arXiv 1512.00567,
 *   section 7
 */
export const labelSmoothing: Method<z.infer<typeof options>> = {
  name: 'label-smoothing',
  summary: 'label smoothing: labels that are not quite certain, nobody teaches',
  source: 'Szegedy et al. 2016, "Rethinking the Inception Architecture", arXiv 1512.00567, section 7',
  teachers: 'none',
  options,
  weights: { ce: 1, kd: 0 },
  supervised: ({ student, labels, options: { epsilon } }) => {
    const evenly = tf.neg(tf.mean(tf.logSoftmax(student.logits), 1));
    return tf.add(
      tf.mul(crossEntropy(student.logits, labels), 1 - epsilon),
      tf.mul(evenly, epsilon),
    ) as tf.Tensor1D;
  },
};
