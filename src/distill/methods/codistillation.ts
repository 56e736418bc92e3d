import { z } from 'zod';
import { softCrossEntropy } from '../softCrossEntropy.ts';
import { softenedDivergence } from '../softenedDivergence.ts';
import type { Method } from '../types.ts';

const options = z.strictObject({
  divergence: z
    .enum(['cross-entropy', 'reverse-kl'])
    .default('cross-entropy')
    .describe(
      "cross-entropy: the peers' probabilities are soft labels; reverse-kl: the divergence from the student to them",
    ),
});

/**
 * Codistillation: `ceWeight · CE(z, y) + kdWeight · ψ(p, q)` with the mean `p` of the other peers' probabilities and
 * the student's `q = softmax(z)`; there is no temperature, so no `T²`. Summed over the classes, mean over the batch.
 *
 * `cross-entropy` is the paper's `ψ(p, q) = -Σ_c p_c log q_c`. `reverse-kl` is that of the equalised form, in which two
 * peers exchange the logits of one batch at every step, as here: `ψ(p, q) = KL(q ‖ p) = Σ_c q_c (log q_c - log p_c)`.
 *
 * Both start late, when the peers know something: set `distill.burnInSteps`. The paper waits for 3,000 steps of batches
 * of 16,384 images; the equalised form for 40 % of the training.
 *
 * @see Anil et al., "Large scale distributed neural network training through online distillation", ICLR 2018,
 *   arXiv 1804.03235, section 2, algorithm 1
 * @see Murai et al., "Online-codistillation meets LARS, going beyond the limit of data parallelism in deep learning",
 *   DLS workshop at SC 2020
 */
export const codistillation: Method<z.infer<typeof options>> = {
  name: 'codistillation',
  summary: "codistillation: the mean of the other peers' probabilities as soft labels",
  source:
    'Anil et al. 2018, "Large Scale Distributed Neural Network Training through Online Distillation", arXiv 1804.03235, algorithm 1',
  teachers: 'peers',
  options,
  weights: { ce: 1, kd: 1 },
  loss: ({ student, teacher, options: { divergence } }) => {
    const [q, p] = [student.logits, teacher!.logits!];
    // The second is the divergence whose constant is the student: its gradient goes through the first argument too.
    return divergence === 'cross-entropy' ? softCrossEntropy(q, p, 1) : softenedDivergence(p, q, 1);
  },
};
