import * as tf from '@tensorflow/tfjs';
import { z } from 'zod';
import { batchNorm } from '../../models/batchNorm.ts';
import { linearUniform } from '../../models/initialisers.ts';
import { conv2d, type MapLayer } from '../../models/layers.ts';
import { Weights } from '../../models/weights.ts';
import { absolute } from '../absolute.ts';
import { attention } from '../encoders/attention.ts';
import { factorChannels, SLOPE } from '../encoders/factors.ts';
import { type Chooser, chosenStage, expectTeacherNotLarger, lastStage, mapShapes } from '../layers.ts';
import { pooled } from '../maps.ts';
import type { Method, Modules } from '../types.ts';

const options = z.strictObject({ layer: lastStage() });

interface FtModules extends Modules {
  readonly translate: MapLayer;
}

const chooser: Chooser = { method: 'ft', option: 'layer' };

/**
 * Factor transfer: the student's translator shall say what the teacher's paraphraser says,
 * `ceWeight · CE(z, y) + kdWeight · mean |F - F_t|` with `F = q / ‖q‖` and `q = mean_c factors²` for each sample.
 *
 * Mean over the positions and the batch; no temperature. The translator is three 3x3 convolutions with batch
 * normalisation and leaky rectifiers, trained with the student; the paraphraser is the encoder's, see factors@1. The paper
 * normalises the factors themselves; this is RepDistiller's, which reduces them over the channels first, so that
 * little travels. A student's map that is larger than its teacher's is averaged down; a smaller one is refused.
 *
 * @see Kim, Park & Kwak, "Paraphrasing complex network: network compression via factor transfer", NeurIPS 2018, arXiv
 * 1802.04977, section 3
 * @see Tian, Krishnan & Isola, "Contrastive representation distillation", ICLR 2020, arXiv 1910.10699: the defaults
 */
export const ft: Method<z.infer<typeof options>, FtModules> = {
  name: 'ft',
  summary: "factor transfer: a translator of the student's map says what a paraphraser of the teacher's says",
  source: 'Kim et al. 2018, "Paraphrasing Complex Network", arXiv 1802.04977, section 3',
  teachers: 'peers',
  options,
  weights: { ce: 1, kd: 200 },
  needs: ({ layer }, layers) => ({
    logits: false,
    features: [{ layer: chosenStage(chooser, layer, layers), encoder: 'factors@1' }],
  }),
  modules(setup, options) {
    const layer = chosenStage(chooser, options.layer, Object.keys(setup.student));
    expectTeacherNotLarger(setup, chooser, layer);
    const { student, teacher } = mapShapes(setup, chooser, layer);
    const weights = new Weights(setup.seed);
    const few = factorChannels(teacher[2]);
    const widths = [student[2], student[2], few, few];
    const layers = widths.slice(1).map((outputs, i) => {
      const name = `translator.${i}`;
      const settings = { kernel: 3, initialise: linearUniform };
      const convolve = conv2d(weights, `${name}.conv`, widths[i]!, outputs, settings);
      const normalise = batchNorm(weights, `${name}.bn`, outputs);
      return { convolve, normalise };
    });
    const translate: MapLayer = (maps, training) =>
      layers.reduce(
        (x, { convolve, normalise }) => tf.leakyRelu(normalise(convolve(x, training), training), SLOPE),
        maps,
      );
    return { parameters: weights.parameters, buffers: weights.buffers, translate };
  },
  loss({ student, teacher, modules }) {
    const [[layer, theirs]] = Object.entries(teacher!.encodings) as [[string, tf.Tensor]];
    const size = theirs.shape.slice(1) as [height: number, width: number];
    const translated = modules.translate(student.features[layer] as tf.Tensor4D, true);
    const own = attention.encode(pooled(translated, size));
    return tf.mean(absolute(tf.sub(own, theirs)), [1, 2]);
  },
};
