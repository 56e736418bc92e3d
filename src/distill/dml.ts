import { softenedDivergence } from './softenedDivergence.ts';
import type { Method } from './types.ts';

/**
 * Deep mutual learning: every student is taught by the others as they learn,
 * `ceWeight · CE(z, y) + kdWeight · T² · KL(mean_j softmax(z_j / T) ‖ softmax(z / T))`.
 *
 * The paper's loss is the mean of the divergences from each other peer, at T = 1. For this direction of the divergence
 * its gradient is that of the divergence from the mean of their probabilities, which is what the coordinator sends.
 *
 * @see Zhang, Xiang, Hospedales & Lu, "Deep Mutual Learning", CVPR 2018, arXiv 1706.00384, equations 3-6
 */
export const dml: Method = {
  name: 'dml',
  summary: 'deep mutual learning: the other peers teach, as they learn (Zhang et al. 2018)',
  teachers: 'peers',
  loss: (student, teacher, { temperature }) => softenedDivergence(student, teacher, temperature),
};
