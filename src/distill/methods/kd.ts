import { z } from 'zod';
import { temperature } from '../options.ts';
import { softenedDivergence } from '../softenedDivergence.ts';
import type { Method } from '../types.ts';

const options = z.strictObject({ temperature: temperature(4) });

/**
 * Knowledge distillation: `ceWeight · CE(z, y) + kdWeight · T² · KL(softmax(z_t / T) ‖ softmax(z / T))`.
 *
 * The divergence goes from teacher to student, is summed over the classes, and has the factor `T²`; mean over the batch.
 * Temperature and weights are those usual for CIFAR-100. The teacher can be frozen, or a peer that learns too.
 *
 * @see Hinton, Vinyals & Dean, "Distilling the knowledge in a neural network", 2015, arXiv 1503.02531, section 2
 * @see Tian, Krishnan & Isola, "Contrastive representation distillation", ICLR 2020, arXiv 1910.10699: the defaults
 */
export const kd: Method<z.infer<typeof options>> = {
  name: 'kd',
  summary: 'knowledge distillation: the softened predictions of a teacher',
  source: 'Hinton et al. 2015, "Distilling the Knowledge in a Neural Network", arXiv 1503.02531, section 2',
  teachers: 'peers',
  options,
  weights: { ce: 0.1, kd: 0.9 },
  loss: ({ student, teacher, options: { temperature: T } }) =>
    softenedDivergence(student.logits, teacher!.logits!, T),
};
