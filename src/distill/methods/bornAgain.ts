import { z } from 'zod';
import { temperature } from '../options.ts';
import { softenedDivergence } from '../softenedDivergence.ts';
import type { Method } from '../types.ts';

const options = z.strictObject({
  generations: z
    .number()
    .int()
    .min(1)
    .default(2)
    .describe(
      'how many students follow the first one, which has no teacher; each learns from the one before',
    ),
  temperature: temperature(1),
});

/**
 * Born-again networks: a network of the same architecture, trained before and frozen, teaches the next one,
 * `ceWeight · CE(z, y) + kdWeight · T² · KL(softmax(z_{k-1} / T) ‖ softmax(z_k / T))`. Generation 0 has the labels alone.
 *
 * The divergence goes from teacher to student, is summed over the classes, and has the factor `T²`, which is 1 here unless
 * told: the paper matches the outputs as they are. Mean over the batch. This is the variant that learns from labels and
 * teacher; with `ceWeight` 0 it is the one that learns from the teacher alone.
 *
 * @see Furlanello et al., "Born-again neural networks", ICML 2018, arXiv 1805.04770, section 3
 */
export const bornAgain: Method<z.infer<typeof options>> = {
  name: 'born-again',
  summary: 'born-again networks: the same network, trained before, teaches the next generation',
  source: 'Furlanello et al. 2018, "Born-Again Neural Networks", arXiv 1805.04770, section 3',
  teachers: 'generation',
  options,
  weights: { ce: 1, kd: 1 },
  loss: ({ student, teacher, options: { temperature: T } }) =>
    softenedDivergence(student.logits, teacher!.logits!, T),
};
