import { z } from 'zod';
import { temperature } from '../options.ts';
import { softenedDivergence } from '../softenedDivergence.ts';
import type { Method } from '../types.ts';

const options = z.strictObject({ temperature: temperature(2) });

/**
 * Deep mutual learning: every student is taught by the others as they learn,
 * `ceWeight · CE(z, y) + kdWeight · T² · KL(mean_j softmax(z_j / T) ‖ softmax(z / T))`.
 *
 * The paper's loss is the mean of the divergences from each other peer, at T = 1. For this direction of the divergence
 * its gradient is that of the divergence from the mean of their probabilities, which is what the coordinator sends: so
 * the paper's ensemble variant, DML_e, one divergence from that mean, is the same. Summed over the classes, with the
 * factor `T²`, mean over the batch.
 *
 * @see Zhang, Xiang, Hospedales & Lu, "Deep Mutual Learning", CVPR 2018, arXiv 1706.00384, section 3
 */
export const dml: Method<z.infer<typeof options>> = {
  name: 'dml',
  summary: 'deep mutual learning: the other peers teach, as they learn',
  source: 'Zhang et al. 2018, "Deep Mutual Learning", arXiv 1706.00384, section 3',
  teachers: 'peers',
  options,
  weights: { ce: 1, kd: 2 },
  loss: ({ student, teacher, options: { temperature: T } }) =>
    softenedDivergence(student.logits, teacher!.logits!, T),
};
