import * as tf from '@tensorflow/tfjs';
import { z } from 'zod';
import { crossEntropy } from '../crossEntropy.ts';
import { softCrossEntropy } from '../softCrossEntropy.ts';
import type { Method } from '../types.ts';

const options = z.strictObject({
  alpha: z
    .number()
    .min(0)
    .max(1)
    .default(0.8)
    .describe('share of the target, in the last epoch, that the predictions of the epoch before make up'),
});

/**
 * Progressive self-knowledge distillation, in the place of the cross-entropy to the labels: that to
 * `(1 - α_t) · y + α_t · softmax(z_{t-1})`, where `z_{t-1}` is what the student said of the sample one epoch ago, and
 * `α_t = α · t / epochs` grows from epoch to epoch, the first being `t = 1`.
 *
 * Summed over the classes, mean over the batch; no temperature. The first epoch has the labels alone.
 *
 * @see Kim et al., "Self-knowledge distillation with progressive refinement of targets", ICCV 2021, arXiv 2006.12000,
 *   section 3
 */
export const psKd: Method<z.infer<typeof options>> = {
  name: 'ps-kd',
  summary: 'progressive self-distillation: labels softened by what the student said one epoch ago',
  source: 'Kim et al. 2021, "Progressive Refinement of Targets", arXiv 2006.12000, section 3',
  teachers: 'previous-epoch',
  options,
  weights: { ce: 1, kd: 0 },
  supervised: ({ student, labels, teacher, epoch, epochs, options: { alpha } }) => {
    const share = (alpha * (Math.floor(epoch) + 1)) / epochs;
    return tf.add(
      tf.mul(crossEntropy(student.logits, labels), 1 - share),
      tf.mul(softCrossEntropy(student.logits, teacher!.logits!, 1), share),
    ) as tf.Tensor1D;
  },
};
