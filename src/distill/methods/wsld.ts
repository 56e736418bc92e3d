import * as tf from '@tensorflow/tfjs';
import { z } from 'zod';
import { crossEntropy } from '../crossEntropy.ts';
import { temperature } from '../options.ts';
import { scaledGradient } from '../scaledGradient.ts';
import { softCrossEntropy } from '../softCrossEntropy.ts';
import type { Method } from '../types.ts';

const options = z.strictObject({ temperature: temperature(2) });

/**
 * Weighted soft labels: `ceWeight · CE(z, y) + kdWeight · T² · w · H(p, q)`, with the cross-entropy
 * `H(p, q) = -Σ_c p_c log q_c` of `p = softmax(z_t / T)` and `q = softmax(z / T)`, and for each sample
 * `w = 1 - exp(-CE(z, y) / CE(z_t, y))`: a sample that the student knows better than its teacher counts less.
 *
 * The weights are of the logits as they are, without the temperature, and constants: no gradient goes through them.
 * Summed over the classes, with the factor `T²`, mean over the batch.
 *
 * @see Zhou et al., "Rethinking soft labels for knowledge distillation: a bias-variance tradeoff perspective", ICLR 2021,
 *   arXiv 2102.00650, section 4
 */
export const wsld: Method<z.infer<typeof options>> = {
  name: 'wsld',
  summary: 'weighted soft labels: more weight where the student knows less than its teacher',
  source:
    'Zhou et al. 2021, "Rethinking Soft Labels for Knowledge Distillation", arXiv 2102.00650, section 4',
  teachers: 'peers',
  options,
  weights: { ce: 1, kd: 2.5 },
  loss: ({ student, teacher, labels, options: { temperature: T } }) => {
    const ofTeacher = crossEntropy(teacher!.logits!, labels);
    // The authors' small number: a teacher that makes no mistake gives a weight of 1, not of 0 / 0.
    const ratio = tf.div(crossEntropy(student.logits, labels), tf.add(ofTeacher, 1e-7));
    const weights = scaledGradient(tf.sub(1, tf.exp(tf.neg(tf.relu(ratio)))), 0);
    return tf.mul(
      tf.mul(weights, softCrossEntropy(student.logits, teacher!.logits!, T)),
      T * T,
    ) as tf.Tensor1D;
  },
};
