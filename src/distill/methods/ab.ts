import * as tf from '@tensorflow/tfjs';
import { z } from 'zod';
import type { MapLayer } from '../../models/layers.ts';
import { Weights } from '../../models/weights.ts';
import { convRegressor } from '../convRegressor.ts';
import { type Chooser, chosenPreacts, mapShapes, preacts } from '../layers.ts';
import { initEpochs, initLength } from '../options.ts';
import type { Method, Modules } from '../types.ts';

const options = z.strictObject({
  layers: preacts(),
  initEpochs: initEpochs(),
  margin: z
    .number()
    .positive()
    .default(1)
    .describe('how far from 0 an activation shall be, on the right side'),
});

/** Of the sum over a map, as in RepDistiller. */
const SCALE = 3 / 1000;

interface AbModules extends Modules {
  readonly connectors: Readonly<Record<string, MapLayer>>;
}

const chooser: Chooser = { method: 'ab', option: 'layers' };

/**
 * Activation boundaries: in a first phase, the same neurons shall be active as in the teacher,
 * `3/1000 · Σ_stages 2^(i - n + 1) Σ (relu(s + m)² [t ≤ 0] + relu(m - s)² [t > 0])`; then the labels alone.
 *
 * `s` is the student's map before its rectifier, through a connector (convolution and batch normalisation) where its shape
 * is not the teacher's, and `m` the margin. After the rectifier no `s` is below 0, let alone -m: a loss that pushes it
 * there can only silence the neuron. Of the teacher only the signs count. Sum over all elements of a sample, mean over the
 * batch; stage `i` of `n`, from 0; no temperature.
 *
 * @see Heo et al., "Knowledge transfer via distillation of activation boundaries", AAAI 2019, arXiv 1811.03233,
 * section 3
 * @see Tian, Krishnan & Isola, "Contrastive representation distillation", ICLR 2020, arXiv 1910.10699: the defaults
 */
export const ab: Method<z.infer<typeof options>, AbModules> = {
  name: 'ab',
  summary: 'activation boundaries: first the same active neurons as the teacher, then the labels alone',
  source: 'Heo et al. 2019, "Distillation of Activation Boundaries", arXiv 1811.03233, section 3',
  teachers: 'peers',
  options,
  weights: { ce: 1, kd: 1 },
  needs: (chosen, layers) => ({
    logits: false,
    features: chosenPreacts(chooser, chosen.layers, layers).map((layer) => ({ layer, encoder: 'signs@1' })),
  }),
  modules(setup, { layers }) {
    const weights = new Weights(setup.seed);
    const chosen = chosenPreacts(chooser, layers, Object.keys(setup.student));
    const connectors = chosen.map((layer) => {
      const { student, teacher } = mapShapes(setup, chooser, layer);
      const alike = student.every((size, i) => size === teacher[i]);
      const connector: MapLayer = alike
        ? (maps) => maps
        : convRegressor(weights, layer, { student, teacher, chooser });
      return [layer, connector] as const;
    });
    return {
      parameters: weights.parameters,
      buffers: weights.buffers,
      connectors: Object.fromEntries(connectors),
    };
  },
  init: {
    epochs: ({ initEpochs }, epochs) => initLength(initEpochs, epochs),
    loss({ student, teacher, modules, options: { margin } }) {
      const encodings = Object.entries(teacher!.encodings);
      const stages = encodings.map(([layer, active], i) => {
        const own = modules.connectors[layer]!(student.features[layer] as tf.Tensor4D, true);
        const tooHigh = tf.mul(tf.square(tf.relu(tf.add(own, margin))), tf.sub(1, active));
        const tooLow = tf.mul(tf.square(tf.relu(tf.sub(margin, own))), active);
        const errors = tf.sum<tf.Tensor1D>(tf.add(tooHigh, tooLow), [1, 2, 3]);
        return tf.mul(errors, SCALE * 2 ** (i - encodings.length + 1));
      });
      return tf.addN(stages) as tf.Tensor1D;
    },
  },
};
