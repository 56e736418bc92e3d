import { z } from 'zod';
import { crossEntropy } from '../crossEntropy.ts';
import { halves, ofFirstHalf } from '../halves.ts';
import { temperature } from '../options.ts';
import { scaledGradient } from '../scaledGradient.ts';
import { softenedDivergence } from '../softenedDivergence.ts';
import type { Method } from '../types.ts';

const options = z.strictObject({ temperature: temperature(4) });

/**
 * Class-wise self-knowledge distillation: what the student says of another sample of the same class, `x'`, teaches,
 * `ceWeight · CE(z(x), y) + kdWeight · T² · KL(softmax(z(x') / T) ‖ softmax(z(x) / T))`.
 *
 * Both are means over the first half of the rows; the second half are the others, constants: no gradient goes there, and
 * their labels are not learned. The divergence goes from the other sample to the sample, is summed over the classes, and
 * has the factor `T²`. The weight is that for CIFAR-100; the authors take 3 for data of fine distinctions.
 *
 * The authors run the others through the network by themselves; here they are one batch, so batch normalisation sees
 * them together.
 *
 * @see Yun et al., "Regularizing class-wise predictions via self-knowledge distillation", CVPR 2020, arXiv 2003.13964
 */
export const csKd: Method<z.infer<typeof options>> = {
  name: 'cs-kd',
  summary: 'class-wise self-distillation: the prediction for another sample of the class teaches',
  source: 'Yun et al. 2020, "Regularizing Class-wise Predictions", arXiv 2003.13964',
  teachers: 'none',
  batch: 'class-pairs',
  wholeBatch: true,
  options,
  weights: { ce: 1, kd: 1 },
  loss: ({ student, options: { temperature: T } }) => {
    const [own, other] = halves(student.logits);
    return ofFirstHalf(softenedDivergence(own, scaledGradient(other, 0), T));
  },
  supervised: ({ student, labels }) => {
    const [own] = halves(student.logits);
    const [classes] = halves(labels);
    return ofFirstHalf(crossEntropy(own, classes));
  },
};
