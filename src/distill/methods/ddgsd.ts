import * as tf from '@tensorflow/tfjs';
import { z } from 'zod';
import { halves } from '../halves.ts';
import { type Chooser, chosenLayers, vectorLayer } from '../layers.ts';
import { temperature, weight } from '../options.ts';
import { scaledGradient } from '../scaledGradient.ts';
import { softenedDivergence } from '../softenedDivergence.ts';
import type { Method } from '../types.ts';

const options = z.strictObject({
  temperature: temperature(4),
  mmd: weight(5e-4).describe('weight of the distance between the mean features of the two views'),
  layer: vectorLayer(),
});

const chooser: Chooser = { method: 'ddgsd', option: 'layer' };

/**
 * Data-distortion guided self-distillation: two augmented views `a` and `b` of every sample teach each other,
 * `CE(z_a, y) + CE(z_b, y) + kdWeight · (T² · KL(p_b ‖ p_a) + T² · KL(p_a ‖ p_b) + mmd · ‖mean f_a - mean f_b‖²)`,
 * `p = softmax(z / T)`.
 *
 * Each term is the mean over the samples; the weight of the labels is 2 because a batch has both views of each, and the
 * mean over its rows is half the sum. Either divergence goes from the view that teaches, a constant, to the one that
 * learns, is summed over the classes, and has the factor `T²`. The last term is the maximum mean discrepancy with a linear
 * kernel: the squared distance of the mean features, summed over their width; its gradient goes to both views.
 *
 * The paper gives weights of 1 and of 1e-4 to 5e-4 for the features; the temperature is that of public code.
 *
 * @see Xu & Liu, "Data-distortion guided self-distillation for deep neural networks", AAAI 2019, section "Approach"
 */
export const ddgsd: Method<z.infer<typeof options>> = {
  name: 'ddgsd',
  summary: 'data-distortion guided self-distillation: two views of each sample teach each other',
  source: 'Xu & Liu 2019, "Data-Distortion Guided Self-Distillation", AAAI, doi 10.1609/aaai.v33i01.33015565',
  teachers: 'none',
  batch: 'two-views',
  wholeBatch: true,
  options,
  weights: { ce: 2, kd: 1 },
  needs: ({ layer }, layers) => ({
    logits: false,
    features: chosenLayers(chooser, [layer], layers).map((each) => ({ layer: each, encoder: 'vector@1' })),
  }),
  loss: ({ student, options: { temperature: T, mmd, layer } }) => {
    const [a, b] = halves(student.logits);
    const divergences = tf.concat([
      softenedDivergence(a, scaledGradient(b, 0), T),
      softenedDivergence(b, scaledGradient(a, 0), T),
    ]);
    const [meanA, meanB] = halves(student.features[layer]!).map((features) => tf.mean(features, 0));
    const distance = tf.sum(tf.square(tf.sub(meanA!, meanB!)));
    return tf.add(tf.mul(divergences, 2), tf.mul(distance, mmd)) as tf.Tensor1D;
  },
};
