import { softenedDivergence } from './softenedDivergence.ts';
import type { Method } from './types.ts';

/**
 * Self-distillation from the moving average of the student's own weights:
 * `ceWeight · CE(z, y) + kdWeight · T² · KL(softmax(z_ema / T) ‖ softmax(z / T))`.
 *
 * The teacher is that of the mean teacher (Tarvainen & Valpola 2017, arXiv 1703.01780), the divergence Hinton's.
 */
export const selfEma: Method = {
  name: 'self-ema',
  summary:
    "self-distillation: the moving average of the student's own weights teaches (Tarvainen & Valpola 2017)",
  teachers: 'ema',
  loss: (student, teacher, { temperature }) => softenedDivergence(student, teacher, temperature),
};
