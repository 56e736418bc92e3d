import { z } from 'zod';
import { decay, temperature } from '../options.ts';
import { softenedDivergence } from '../softenedDivergence.ts';
import type { Method } from '../types.ts';

const options = z.strictObject({
  temperature: temperature(3),
  decay: decay(0.999).describe('share of the averaged weights that is kept at each step'),
});

/**
 * Peer collaborative learning, the part of the peers' mean teachers:
 * `ceWeight · CE(z, y) + kdWeight · T² · KL(mean_j softmax(z_j^ema / T) ‖ softmax(z / T))`, where each other peer `j`
 * sends the predictions of the moving average of its weights in the place of its own.
 *
 * The paper's loss is the mean of the divergences from each of the other peers' averages; for this direction it has the
 * same gradient as the divergence from the mean of their probabilities. Summed over the classes, with the factor `T²`,
 * mean over the batch. The paper's peers are branches of one network, and learn from an ensemble of their features too;
 * that needs all of them in one place, and is left out. It ramps the distillation up: `distill.rampUpSteps`.
 *
 * @see Wu & Gong, "Peer collaborative learning for online knowledge distillation", AAAI 2021, arXiv 2006.04147,
 *   section 3
 */
export const pcl: Method<z.infer<typeof options>> = {
  name: 'pcl',
  summary: "peer collaborative learning: the moving averages of the other peers' weights teach",
  source:
    'Wu & Gong 2021, "Peer Collaborative Learning for Online Knowledge Distillation", arXiv 2006.04147, section 3',
  teachers: 'peers',
  options,
  weights: { ce: 1, kd: 1 },
  sends: 'ema',
  loss: ({ student, teacher, options: { temperature: T } }) =>
    softenedDivergence(student.logits, teacher!.logits!, T),
};
