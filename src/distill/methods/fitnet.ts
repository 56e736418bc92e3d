import * as tf from '@tensorflow/tfjs';
import { z } from 'zod';
import type { MapLayer } from '../../models/layers.ts';
import { Weights } from '../../models/weights.ts';
import { convRegressor } from '../convRegressor.ts';
import { type Chooser, chosenLayers, mapShapes } from '../layers.ts';
import type { Method, Modules } from '../types.ts';

const options = z.strictObject({
  layer: z.string().min(1).default('stage2').describe('the map that the teacher gives as a hint'),
});

interface FitnetModules extends Modules {
  readonly regress: MapLayer;
}

const chooser: Chooser = { method: 'fitnet', option: 'layer' };

/**
 * Hints: a student's map, regressed, shall be the teacher's,
 * `ceWeight · CE(z, y) + kdWeight · mean((relu(bn(conv(f))) - f_t)²)`.
 *
 * Mean over height, width, channels and batch; no temperature. The paper trains with the hint alone first and halves the
 * squared distance; RepDistiller, whose loss and defaults these are, adds it to the labels from the start.
 *
 * @see Romero et al., "FitNets: hints for thin deep nets", ICLR 2015, arXiv 1412.6550, equation 3
 * @see Tian, Krishnan & Isola, "Contrastive representation distillation", ICLR 2020, arXiv 1910.10699: the defaults
 */
export const fitnet: Method<z.infer<typeof options>, FitnetModules> = {
  name: 'fitnet',
  summary: "hints: a map of the student's, regressed, shall be the teacher's",
  source: 'Romero et al. 2015, "FitNets: Hints for Thin Deep Nets", arXiv 1412.6550, eq. 3',
  teachers: 'peers',
  options,
  weights: { ce: 1, kd: 100 },
  needs: ({ layer }, layers) => ({
    logits: false,
    features: chosenLayers(chooser, [layer], layers).map((each) => ({ layer: each, encoder: 'map@1' })),
  }),
  modules(setup, { layer }) {
    const weights = new Weights(setup.seed);
    const regress = convRegressor(weights, 'regressor', { ...mapShapes(setup, chooser, layer), chooser });
    return { parameters: weights.parameters, buffers: weights.buffers, regress };
  },
  loss({ student, teacher, modules, options: { layer } }) {
    const hint = teacher!.encodings[layer]!;
    const own = tf.relu(modules.regress(student.features[layer] as tf.Tensor4D, true));
    return tf.mean(tf.square(tf.sub(own, hint)), [1, 2, 3]);
  },
};
