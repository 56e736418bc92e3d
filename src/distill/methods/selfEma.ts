import { z } from 'zod';
import { decay, temperature } from '../options.ts';
import { softenedDivergence } from '../softenedDivergence.ts';
import type { Method } from '../types.ts';

const options = z.strictObject({
  temperature: temperature(2),
  decay: decay(0.999).describe('share of the averaged weights that is kept at each step'),
});

/**
 * Self-distillation from the moving average of the student's own weights:
 * `ceWeight · CE(z, y) + kdWeight · T² · KL(softmax(z_ema / T) ‖ softmax(z / T))`.
 *
 * The teacher is that of the mean teacher, the divergence Hinton's.
 *
 * @see Tarvainen & Valpola, "Mean teachers are better role models", NeurIPS 2017, arXiv 1703.01780, section 2
 */
export const selfEma: Method<z.infer<typeof options>> = {
  name: 'self-ema',
  summary: "self-distillation: the moving average of the student's own weights teaches",
  source: 'Tarvainen & Valpola 2017, "Mean teachers", arXiv 1703.01780, section 2',
  teachers: 'ema',
  options,
  weights: { ce: 1, kd: 2 },
  loss: ({ student, teacher, options: { temperature: T } }) =>
    softenedDivergence(student.logits, teacher!.logits!, T),
};
