import { z } from 'zod';
import { temperature } from '../options.ts';
import { softenedDivergence } from '../softenedDivergence.ts';
import type { EnsembleKind, Method } from '../types.ts';

const TARGETS = {
  naive: 'best',
  linear: 'linear',
  minlogit: 'min-logit',
  general: 'weighted',
} as const satisfies Record<string, EnsembleKind>;

const options = z.strictObject({
  temperature: temperature(2),
  target: z
    .enum(['naive', 'linear', 'minlogit', 'general'])
    .default('minlogit')
    .describe(
      'the target that all share: naive, the logits of the best peer for each sample; linear, the mixture of logits ' +
        "with the least cross-entropy; minlogit, for each class the peers' least logit relative to the true class; " +
        'general, weighted by how the errors of the peers go together',
    ),
});

/**
 * Online distillation by collaborative learning: all peers learn from one target `z_t`, made of the predictions of all
 * of them, the student's own included, `ceWeight · CE(z, y) + kdWeight · T² · KL(softmax(z_t / T) ‖ softmax(z / T))`.
 *
 * The divergence goes from target to student, is summed over the classes, and has the factor `T²`; mean over the batch.
 * How the target is made is the ensemble's part, and needs the labels. In the paper each
 * peer sees an augmented view of its own of the same samples: `data.view: own`.
 *
 * @see Guo et al., "Online knowledge distillation via collaborative learning", CVPR 2020, section 3
 */
export const kdcl: Method<z.infer<typeof options>> = {
  name: 'kdcl',
  summary: 'collaborative learning: one target for all, made of all predictions and the labels',
  source: 'Guo et al. 2020, "Online Knowledge Distillation via Collaborative Learning", CVPR, section 3',
  teachers: 'peers',
  options,
  weights: { ce: 1, kd: 1 },
  ensemble: ({ target }) => TARGETS[target],
  includesSelf: true,
  loss: ({ student, teacher, options: { temperature: T } }) =>
    softenedDivergence(student.logits, teacher!.logits!, T),
};
