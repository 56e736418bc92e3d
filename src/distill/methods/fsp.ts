import * as tf from '@tensorflow/tfjs';
import { z } from 'zod';
import { flow } from '../encoders/flow.ts';
import { type Chooser, chosenStages, layersOf, mapShapes, refuse, stages } from '../layers.ts';
import { initEpochs, initLength } from '../options.ts';
import type { Method } from '../types.ts';
import { NO_MODULES } from '../types.ts';

const options = z.strictObject({
  layers: stages().describe('two layers or more, shallow to deep; null: all stages of the student'),
  initEpochs: initEpochs(),
});

const chooser: Chooser = { method: 'fsp', option: 'layers' };

/**
 * Flow of the solution procedure: in a first phase, the student's layers shall follow from each other as the teacher's
 * do, `kdWeight · Σ_pairs mean((G - G_t)²)` with `G = mean_positions f_i f_{i+1}ᵀ` for each sample and each pair of
 * neighbouring layers; then the labels alone.
 *
 * Mean over the channels of both layers and the batch, sum over the pairs; no temperature. Within a pair the larger map
 * is averaged down. Student and teacher must have the same numbers of channels; their maps may differ in size. The paper
 * has the sum of the squares and not their mean. The weight is that of RepDistiller's script, which there multiplies a term
 * of the second phase that is absent, and leaves the first phase with weight 1.
 *
 * @see Yim et al., "A gift from knowledge distillation", CVPR 2017, equations 1-2
 * @see Tian, Krishnan & Isola, "Contrastive representation distillation", ICLR 2020, arXiv 1910.10699: the defaults
 */
export const fsp: Method<z.infer<typeof options>> = {
  name: 'fsp',
  summary: "first the teacher's flow from layer to layer, then the labels alone; equal numbers of channels",
  source: 'Yim et al. 2017, "A Gift from Knowledge Distillation", CVPR, eq. 1-2',
  teachers: 'peers',
  options,
  weights: { ce: 1, kd: 50 },
  needs: (chosen, layers) => ({
    logits: false,
    features: pairs(chosenStages(chooser, chosen.layers, layers)).map((layer) => ({
      layer,
      encoder: 'flow@1',
    })),
  }),
  modules(setup, chosen) {
    for (const layer of chosenStages(chooser, chosen.layers, Object.keys(setup.student))) {
      const { student, teacher } = mapShapes(setup, chooser, layer);
      if (student[2] !== teacher[2]) {
        refuse(
          chooser,
          `${layer} has ${student[2]} channels in the student and ${teacher[2]} in the teacher, and must have as many`,
        );
      }
    }
    return NO_MODULES;
  },
  init: {
    epochs: ({ initEpochs }, epochs) => initLength(initEpochs, epochs),
    loss({ student, teacher }) {
      const distances = Object.entries(teacher!.encodings).map(([pair, theirs]) => {
        const [first, next] = layersOf(pair).map((layer) => student.features[layer]!);
        return tf.mean<tf.Tensor1D>(tf.square(tf.sub(flow.encode(first!, next), theirs)), [1, 2]);
      });
      return tf.addN(distances);
    },
  },
};

/** Each layer and the one after it. */
function pairs(layers: readonly string[]): string[] {
  if (layers.length < 2) refuse(chooser, `two layers are needed, and there is only ${layers.join()}`);
  return layers.slice(1).map((next, i) => `${layers[i]}+${next}`);
}
