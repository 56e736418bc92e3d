import * as tf from '@tensorflow/tfjs';
import { z } from 'zod';
import { type Chooser, chosenStages, mapShapes, stages } from '../layers.ts';
import { pooledAlike } from '../maps.ts';
import type { Method } from '../types.ts';
import { NO_MODULES } from '../types.ts';
import { unit } from '../unit.ts';

const options = z.strictObject({ layers: stages() });

const chooser: Chooser = { method: 'nst', option: 'layers' };

/**
 * Neuron selectivity transfer: the student's neurons shall be spread over the image as the teacher's are,
 * `ceWeight · CE(z, y) + kdWeight · Σ_stages (mean k(t, t) + mean k(s, s) - 2 mean k(s, t))`, the squared maximum mean
 * discrepancy of their channels under `k(x, y) = (xᵀy)²`, where each channel's map has length 1.
 *
 * Means are over the pairs of channels and the batch, sum over the stages; no temperature. The larger map is averaged
 * down; the numbers of channels may differ.
 *
 * @see Huang & Wang, "Like what you like: knowledge distill via neuron selectivity transfer", 2017, arXiv 1707.01219
 * @see Tian, Krishnan & Isola, "Contrastive representation distillation", ICLR 2020, arXiv 1910.10699: the defaults
 */
export const nst: Method<z.infer<typeof options>> = {
  name: 'nst',
  summary: 'neuron selectivity transfer: the channels are spread over the image as those of the teacher',
  source: 'Huang & Wang 2017, "Like What You Like", arXiv 1707.01219',
  teachers: 'peers',
  options,
  weights: { ce: 1, kd: 50 },
  needs: (chosen, layers) => ({
    logits: false,
    features: chosenStages(chooser, chosen.layers, layers).map((layer) => ({ layer, encoder: 'map@1' })),
  }),
  modules(setup, chosen) {
    for (const layer of chosenStages(chooser, chosen.layers, Object.keys(setup.student))) {
      mapShapes(setup, chooser, layer);
    }
    return NO_MODULES;
  },
  loss({ student, teacher }) {
    const discrepancies = Object.entries(teacher!.encodings).map(([layer, theirs]) => {
      const [s, t] = pooledAlike(student.features[layer] as tf.Tensor4D, theirs as tf.Tensor4D).map(channels);
      const both = tf.add(meanKernel(t!, t!), meanKernel(s!, s!));
      return tf.sub(both, tf.mul(meanKernel(s!, t!), 2)) as tf.Tensor1D;
    });
    return tf.addN(discrepancies);
  },
};

/** Each channel's map, of length 1: `[batch, positions, channels]`. */
function channels(maps: tf.Tensor4D): tf.Tensor3D {
  const [batch, height, width, count] = maps.shape;
  return unit(tf.reshape(maps, [batch, height * width, count]), 1);
}

/** Mean of `(xᵀy)²` over the pairs of channels, for each sample. */
function meanKernel(x: tf.Tensor3D, y: tf.Tensor3D): tf.Tensor1D {
  return tf.mean(tf.square(tf.matMul(x, y, true, false)), [1, 2]);
}
