import * as tf from '@tensorflow/tfjs';
import { z } from 'zod';
import { correlations } from '../deviations.ts';
import { temperature, weight } from '../options.ts';
import type { Method } from '../types.ts';

const options = z.strictObject({
  temperature: temperature(4),
  beta: weight(1).describe('weight of the correlation over the classes of each sample'),
  gamma: weight(1).describe('weight of the correlation over the samples of each class'),
});

/**
 * Distillation from a stronger teacher: `ceWeight · CE(z, y) + kdWeight · (β · inter + γ · intra)`, with
 * `inter = T² · (1 - mean_b ρ(p_b, q_b))` over the rows, and `intra = T² · (1 - mean_c ρ(p_c, q_c))` over the columns,
 * of the probabilities `p = softmax(z_t / T)` and `q = softmax(z / T)`; `ρ` is Pearson's correlation.
 *
 * The student need only be linear in its teacher, not equal to it. The value of a sample is its own part of `inter` and
 * all of `intra`. A row or column that is constant correlates with nothing, and has no gradient.
 * The temperature is the authors' for CIFAR-100; for ImageNet theirs is 1.
 *
 * @see Huang et al., "Knowledge distillation from a stronger teacher", NeurIPS 2022, arXiv 2205.10536, section 3
 */
export const dist: Method<z.infer<typeof options>> = {
  name: 'dist',
  summary: 'correlations between student and teacher, over classes and over samples',
  source: 'Huang et al. 2022, "Knowledge Distillation from A Stronger Teacher", arXiv 2205.10536, section 3',
  teachers: 'peers',
  options,
  weights: { ce: 1, kd: 2 },
  wholeBatch: true,
  loss: ({ student, teacher, options: { temperature: T, beta, gamma } }) => {
    const [q, p] = [student.logits, teacher!.logits!].map((logits) =>
      tf.softmax(tf.div(logits, T) as tf.Tensor2D),
    ) as [tf.Tensor2D, tf.Tensor2D];
    const inter = tf.sub(1, correlations(q, p, 1));
    const intra = tf.sub(1, tf.mean(correlations(q, p, 0)));
    return tf.mul(tf.add(tf.mul(inter, beta), tf.mul(intra, gamma)), T * T) as tf.Tensor1D;
  },
};
