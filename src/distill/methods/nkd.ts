import * as tf from '@tensorflow/tfjs';
import { z } from 'zod';
import { crossEntropy } from '../crossEntropy.ts';
import { temperature, weight } from '../options.ts';
import { softCrossEntropy } from '../softCrossEntropy.ts';
import type { Method } from '../types.ts';

const options = z.strictObject({
  temperature: temperature(1).describe('divides the logits of the other classes before their softmax'),
  gamma: weight(1.5).describe('weight of the other classes'),
});

/** Takes the true class out of a softmax: no logit is as large as this. */
const OUT = 1e30;

/**
 * Normalised knowledge distillation: `ceWeight · CE(z, y) + kdWeight · (-p_y log q_y - γ · T² · Σ_{c ≠ y} p̂_c log q̂_c)`, with
 * the probabilities `p` of the teacher and `q` of the student without a temperature, and `p̂`, `q̂` the softmax of the logits
 * divided by `T`, without the true class: so both add up to 1 among the others, whatever each thinks of the true class.
 *
 * Cross-entropies from teacher to student, summed over the classes; the second has the factor `T²`; mean over the batch.
 *
 * @see Yang et al., "From knowledge distillation to self-knowledge distillation: a unified approach with normalized loss
 *   and customized soft labels", ICCV 2023, arXiv 2303.13005, section 3
 */
export const nkd: Method<z.infer<typeof options>> = {
  name: 'nkd',
  summary: 'normalised distillation: the true class by itself, and the others among themselves',
  source:
    'Yang et al. 2023, "From Knowledge Distillation to Self-Knowledge Distillation", arXiv 2303.13005, section 3',
  teachers: 'peers',
  options,
  weights: { ce: 1, kd: 1 },
  loss: ({ student, teacher, labels, options: { temperature: T, gamma } }) => {
    const isTrue = tf.oneHot(labels, student.logits.shape[1]);
    const others = [student.logits, teacher!.logits!].map((logits) =>
      tf.sub(logits, tf.mul(isTrue, OUT * T)),
    );
    const [ofStudent, ofTeacher] = others as [tf.Tensor2D, tf.Tensor2D];
    const confidence = tf.sum(tf.mul(tf.softmax(teacher!.logits!), isTrue), 1);
    const onTrue = tf.mul(confidence, crossEntropy(student.logits, labels));
    return tf.add(onTrue, tf.mul(softCrossEntropy(ofStudent, ofTeacher, T), gamma * T * T)) as tf.Tensor1D;
  },
};
