import * as tf from '@tensorflow/tfjs';
import { z } from 'zod';
import { temperature, weight } from '../options.ts';
import { softenedDivergence } from '../softenedDivergence.ts';
import type { Method } from '../types.ts';

const options = z.strictObject({
  temperature: temperature(4),
  alpha: weight(1).describe('weight of the divergence between true class and all others'),
  beta: weight(8).describe('weight of the divergence among the other classes'),
  warmUpEpochs: z.number().min(0).default(20).describe('epochs in which the loss grows to its full size'),
});

/** Takes the true class out of a softmax: no logit is as large as this. */
const OUT = 1e30;

/**
 * Decoupled knowledge distillation: `ceWeight · CE(z, y) + kdWeight · w · (α · TCKD + β · NCKD)`, with
 * `TCKD = T² · KL((p_y, 1 - p_y) ‖ (q_y, 1 - q_y))` between the true class and the rest, and
 * `NCKD = T² · KL(p̂ ‖ q̂)` among the other classes, `p̂` and `q̂` being the softmax without the true class.
 *
 * Both go from teacher (p) to student (q), are summed over the classes, and have the factor `T²`; mean over the batch.
 * `w = min(epoch / warmUpEpochs, 1)`, with the fraction of the epoch, where the authors take whole ones from 1 on.
 * With `α = 1` and `β = 1 - p_y` this is knowledge distillation. A teacher that learns too knows little of the true
 * class at first, so the warm-up matters there.
 *
 * @see Zhao et al., "Decoupled knowledge distillation", CVPR 2022, arXiv 2203.08679, equations 6-7
 */
export const dkd: Method<z.infer<typeof options>> = {
  name: 'dkd',
  summary: 'decoupled distillation: the true class and the other classes, each with a weight',
  source: 'Zhao et al. 2022, "Decoupled Knowledge Distillation", arXiv 2203.08679, eq. 6-7',
  teachers: 'peers',
  options,
  weights: { ce: 1, kd: 1 },
  loss: ({ student, teacher, labels, epoch, options: { temperature: T, alpha, beta, warmUpEpochs } }) => {
    const isTrue = tf.oneHot(labels, student.logits.shape[1]) as tf.Tensor2D;
    const withoutTrue = (logits: tf.Tensor): tf.Tensor2D => tf.sub(logits, tf.mul(isTrue, OUT * T));
    /** `log (p_y, 1 - p_y)`, the second as a sum over the others, so that it is exact where `p_y` is about 1. */
    const trueAndRest = (logits: tf.Tensor2D): [tf.Tensor, tf.Tensor] => {
      const logP = tf.logSoftmax(tf.div(logits, T) as tf.Tensor2D);
      return [tf.sum(tf.mul(logP, isTrue), 1), tf.logSumExp(tf.sub(logP, tf.mul(isTrue, OUT)), 1)];
    };
    const [teacherLog, studentLog] = [trueAndRest(teacher!.logits!), trueAndRest(student.logits)];
    const [onTrue, onRest] = teacherLog.map((logP, i) =>
      tf.mul(tf.exp(logP), tf.sub(logP, studentLog[i]!)),
    ) as [tf.Tensor, tf.Tensor];
    const trueClass = tf.mul(tf.add(onTrue, onRest), T * T);
    const others = softenedDivergence(withoutTrue(student.logits), withoutTrue(teacher!.logits!), T);
    const warmth = warmUpEpochs > 0 ? Math.min(epoch / warmUpEpochs, 1) : 1;
    return tf.mul(tf.add(tf.mul(trueClass, alpha), tf.mul(others, beta)), warmth) as tf.Tensor1D;
  },
};
