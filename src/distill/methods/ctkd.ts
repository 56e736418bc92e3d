import * as tf from '@tensorflow/tfjs';
import { z } from 'zod';
import { scaledGradient } from '../scaledGradient.ts';
import type { Method, Modules } from '../types.ts';

const options = z.strictObject({
  least: z.number().positive().default(1).describe('least temperature'),
  range: z.number().min(0).default(20).describe('by how much the temperature can be above the least'),
  rampEpochs: z
    .number()
    .min(0)
    .default(10)
    .describe('epochs in which the temperature comes to learn at full strength'),
});

/**
 * Curriculum temperature: `ceWeight · CE(z, y) + kdWeight · T² · KL(softmax(z_t / T) ‖ softmax(z / T))`, where the
 * temperature `T = least + range · σ(θ)` is learned against the student: its gradient is multiplied by `-λ`, so that it
 * climbs the loss that the student descends, and `λ = (1 - cos(π · min(epoch / rampEpochs, 1))) / 2` lets the task
 * become harder step by step.
 *
 * The divergence goes from teacher to student and is summed over the classes; `θ` starts at 1, and the factor `T²` is a
 * part of what it is differentiated through. One temperature for all samples, the paper's global one. The epoch
 * counts with its fraction, where the authors take whole ones from 1 on.
 *
 * @see Li et al., "Curriculum temperature for knowledge distillation", AAAI 2023, arXiv 2211.16231, section 3
 */
export const ctkd: Method<z.infer<typeof options>> = {
  name: 'ctkd',
  summary: 'curriculum temperature: a temperature that learns to make the task harder',
  source: 'Li et al. 2023, "Curriculum Temperature for Knowledge Distillation", arXiv 2211.16231, section 3',
  teachers: 'peers',
  options,
  weights: { ce: 0.1, kd: 0.9 },
  modules: (): Modules => ({
    parameters: new Map([['theta', tf.tidy(() => tf.variable(tf.ones([1])))]]),
    buffers: new Map(),
  }),
  loss: ({ student, teacher, modules, epoch, options: { least, range, rampEpochs } }) => {
    const progress = rampEpochs > 0 ? Math.min(epoch / rampEpochs, 1) : 1;
    const strength = (1 - Math.cos(Math.PI * progress)) / 2;
    const theta = scaledGradient<tf.Tensor>(modules.parameters.get('theta')!, -strength);
    const T = tf.add(tf.mul(tf.sigmoid(theta), range), least);
    const logQ = tf.logSoftmax(tf.div(student.logits, T) as tf.Tensor2D);
    const logP = tf.logSoftmax(tf.div(teacher!.logits!, T) as tf.Tensor2D);
    const divergence = tf.sum(tf.mul(tf.exp(logP), tf.sub(logP, logQ)), 1);
    return tf.mul(divergence, tf.square(T)) as tf.Tensor1D;
  },
};
