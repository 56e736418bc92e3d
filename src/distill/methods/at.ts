import * as tf from '@tensorflow/tfjs';
import { z } from 'zod';
import { attention } from '../encoders/attention.ts';
import { type Chooser, chosenStages, expectTeacherNotLarger, stages } from '../layers.ts';
import { pooled } from '../maps.ts';
import type { Method } from '../types.ts';
import { NO_MODULES } from '../types.ts';

const options = z.strictObject({ layers: stages() });

const chooser: Chooser = { method: 'at', option: 'layers' };

/**
 * Attention transfer: student and teacher shall look at the same places,
 * `ceWeight · CE(z, y) + kdWeight · Σ_stages mean((Q - Q_t)²)` with `Q = q / ‖q‖` and `q = mean_c f²` for each sample.
 *
 * Mean over the positions and the batch, sum over the stages; no temperature. A student's map that is larger than its
 * teacher's is averaged down before it is squared; a smaller one is refused, because the teacher sends `Q`. The paper has
 * the sum of the squares and not their mean; the weight is that of RepDistiller's mean.
 *
 * @see Zagoruyko & Komodakis, "Paying more attention to attention", ICLR 2017, arXiv 1612.03928, equation 2
 * @see Tian, Krishnan & Isola, "Contrastive representation distillation", ICLR 2020, arXiv 1910.10699: the defaults
 */
export const at: Method<z.infer<typeof options>> = {
  name: 'at',
  summary: 'attention transfer: look at the same places',
  source: 'Zagoruyko & Komodakis 2017, "Paying More Attention to Attention", arXiv 1612.03928, eq. 2',
  teachers: 'peers',
  options,
  weights: { ce: 1, kd: 1000 },
  needs: (chosen, layers) => ({
    logits: false,
    features: chosenStages(chooser, chosen.layers, layers).map((layer) => ({
      layer,
      encoder: 'attention@1',
    })),
  }),
  modules(setup, chosen) {
    for (const layer of chosenStages(chooser, chosen.layers, Object.keys(setup.student))) {
      expectTeacherNotLarger(setup, chooser, layer);
    }
    return NO_MODULES;
  },
  loss({ student, teacher }) {
    const distances = Object.entries(teacher!.encodings).map(([layer, theirs]) => {
      const size = theirs.shape.slice(1) as [height: number, width: number];
      const own = attention.encode(pooled(student.features[layer] as tf.Tensor4D, size));
      return tf.mean<tf.Tensor1D>(tf.square(tf.sub(own, theirs)), [1, 2]);
    });
    return tf.addN(distances);
  },
};
