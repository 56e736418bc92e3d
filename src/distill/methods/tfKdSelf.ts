import { z } from 'zod';
import { temperature } from '../options.ts';
import { softenedDivergence } from '../softenedDivergence.ts';
import type { Method } from '../types.ts';

const options = z.strictObject({ temperature: temperature(6) });

/**
 * Teacher-free distillation by self-training: the same network, trained before with the labels alone and frozen, teaches,
 * `ceWeight · CE(z, y) + kdWeight · T² · KL(softmax(z_t / T) ‖ softmax(z / T))`.
 *
 * The divergence goes from teacher to student, is summed over the classes, and has the factor `T²`; mean over the batch.
 * The authors' code takes the mean over the classes as well, and makes up for it with a multiplier: for their ResNet-18,
 * 0.95 · 50 / 100 classes of CIFAR-100, which is 0.475 of the sum, at any number of classes.
 *
 * @see Yuan et al., "Revisiting knowledge distillation via label smoothing regularization", CVPR 2020, arXiv 1909.11723,
 *   section 5.1
 */
export const tfKdSelf: Method<z.infer<typeof options>> = {
  name: 'tf-kd-self',
  summary: 'teacher-free distillation: the same network, trained before, teaches with soft predictions',
  source: 'Yuan et al. 2020, "Revisiting Knowledge Distillation", arXiv 1909.11723, section 5.1',
  teachers: 'generation',
  options,
  weights: { ce: 0.05, kd: 0.475 },
  loss: ({ student, teacher, options: { temperature: T } }) =>
    softenedDivergence(student.logits, teacher!.logits!, T),
};
