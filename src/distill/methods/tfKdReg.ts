import * as tf from '@tensorflow/tfjs';
import { z } from 'zod';
import type { Method } from '../types.ts';

const options = z.strictObject({
  temperature: z
    .number()
    .positive()
    .default(20)
    .describe('divides the probabilities of the virtual teacher before the softmax'),
  correct: z
    .number()
    .gt(0)
    .lt(1)
    .default(0.99)
    .describe('probability that the virtual teacher gives the true class'),
});

/**
 * Teacher-free distillation by regularisation: a virtual teacher that is always right, and not quite certain,
 * `ceWeight · CE(z, y) + kdWeight · KL(softmax(u / T) ‖ softmax(z))` with `u = a` for the true class and
 * `(1 - a) / (classes - 1)` for each of the others.
 *
 * The divergence goes from teacher to student and is summed over the classes; mean over the batch. As in the authors'
 * code, probabilities and not logits are divided by `T`, which makes a teacher that prefers the true class but a little;
 * the student's logits are taken as they are, and there is no factor `T²`. That code takes the mean over the classes as
 * well, and makes up for it with a multiplier: for ResNet-18, 0.1 · 100 / 100 classes of CIFAR-100, which is 0.1 of the
 * sum, at any number of classes.
 *
 * @see Yuan et al., "Revisiting knowledge distillation via label smoothing regularization", CVPR 2020, arXiv 1909.11723,
 *   section 5.2
 */
export const tfKdReg: Method<z.infer<typeof options>> = {
  name: 'tf-kd-reg',
  summary: 'teacher-free distillation: a virtual teacher that is always right and not quite certain',
  source: 'Yuan et al. 2020, "Revisiting Knowledge Distillation", arXiv 1909.11723, section 5.2',
  teachers: 'none',
  options,
  weights: { ce: 0.9, kd: 0.1 },
  loss: ({ student, labels, options: { temperature: T, correct } }) => {
    const classes = student.logits.shape[1];
    const others = (1 - correct) / (classes - 1);
    const virtual = tf.add(tf.mul(tf.oneHot(labels, classes), (correct - others) / T), others / T);
    const logP = tf.logSoftmax(virtual as tf.Tensor2D);
    return tf.sum(tf.mul(tf.exp(logP), tf.sub(logP, tf.logSoftmax(student.logits))), 1);
  },
};
