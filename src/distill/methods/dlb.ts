import { z } from 'zod';
import { halves, ofFirstHalf } from '../halves.ts';
import { temperature } from '../options.ts';
import { softenedDivergence } from '../softenedDivergence.ts';
import type { Method } from '../types.ts';

const options = z.strictObject({ temperature: temperature(3) });

/**
 * Self-distillation from the last mini-batch: the first half of the rows was the newer half of the batch before, and
 * what the student said of it then teaches,
 * `ceWeight · CE(z, y) + kdWeight · T² · KL(softmax(z_before / T) ‖ softmax(z / T))`.
 *
 * The cross-entropy is the mean over all rows. The divergence goes from then to now, is summed over the classes, has the
 * factor `T²`, and is the mean over the first half, the second having nothing to compare; that is why its rows count
 * double. `teacher.logits` is `[batch / 2, classes]`, of the first half alone.
 *
 * The authors run the two halves through the network one after the other; here they are one batch, so batch
 * normalisation sees them together.
 *
 * @see Shen et al., "Self-distillation from the last mini-batch for consistency regularization", CVPR 2022, arXiv
 *   2203.16172
 */
export const dlb: Method<z.infer<typeof options>> = {
  name: 'dlb',
  summary: 'self-distillation from the last batch: half of it comes again, and what was said of it teaches',
  source: 'Shen et al. 2022, "Self-Distillation from the Last Mini-Batch", arXiv 2203.16172',
  teachers: 'previous-batch',
  batch: 'overlapping',
  wholeBatch: true,
  options,
  weights: { ce: 1, kd: 1 },
  loss: ({ student, teacher, options: { temperature: T } }) => {
    const [again] = halves(student.logits);
    return ofFirstHalf(softenedDivergence(again, teacher!.logits!, T));
  },
};
