import * as tf from '@tensorflow/tfjs';
import { z } from 'zod';
import { linearUniform } from '../../models/initialisers.ts';
import { dense } from '../../models/layers.ts';
import { Weights } from '../../models/weights.ts';
import { absolute } from '../absolute.ts';
import { type Chooser, chosenLayers, vectorLayer, vectorWidths } from '../layers.ts';
import type { Method, Modules } from '../types.ts';

const options = z.strictObject({
  layer: vectorLayer(),
  width: z.int().min(1).default(128).describe('length of the vectors that both embeddings are brought to'),
});

interface CcModules extends Modules {
  /** Both are the student's: the teacher's embedding is trained too. */
  readonly embedStudent: (rows: tf.Tensor2D) => tf.Tensor2D;
  readonly embedTeacher: (rows: tf.Tensor2D) => tf.Tensor2D;
}

const chooser: Chooser = { method: 'cc', option: 'layer' };

/**
 * Correlation congruence: `ceWeight · CE(z, y) + kdWeight · mean_i Σ_d δ_{i,d} δ_{i+1,d}` with `δ = |E(f) - E_t(f_t)|`,
 * over the pairs of rows that follow each other, where `E` and `E_t` are linear and trained.
 *
 * This is the code that the authors gave to RepDistiller, and not the paper's distance between the correlations of the
 * batch under a Gaussian kernel. Row `i` of the loss is the product of rows `i` and `i + 1`, times
 * `batch / (batch - 1)`, and that of the last row 0, so that the mean is that over the pairs; it depends on the order of
 * the samples. No temperature.
 *
 * @see Peng et al., "Correlation congruence for knowledge distillation", ICCV 2019, arXiv 1904.01802
 * @see Tian, Krishnan & Isola, "Contrastive representation distillation", ICLR 2020, arXiv 1910.10699: the defaults
 */
export const cc: Method<z.infer<typeof options>, CcModules> = {
  name: 'cc',
  summary: 'correlation congruence: errors of neighbouring samples shall not go together',
  source:
    'Peng et al. 2019, "Correlation Congruence for Knowledge Distillation", arXiv 1904.01802, the authors\' code',
  teachers: 'peers',
  options,
  weights: { ce: 1, kd: 0.02 },
  wholeBatch: true,
  needs: ({ layer }, layers) => ({
    logits: false,
    features: chosenLayers(chooser, [layer], layers).map((each) => ({ layer: each, encoder: 'vector@1' })),
  }),
  modules(setup, { layer, width }) {
    const { student, teacher } = vectorWidths(setup, chooser, layer);
    const weights = new Weights(setup.seed);
    return {
      parameters: weights.parameters,
      buffers: weights.buffers,
      embedStudent: dense(weights, 'student', student, width, linearUniform),
      embedTeacher: dense(weights, 'teacher', teacher, width, linearUniform),
    };
  },
  loss({ student, teacher, modules, options: { layer } }) {
    const own = modules.embedStudent(student.features[layer] as tf.Tensor2D);
    const theirs = modules.embedTeacher(teacher!.encodings[layer] as tf.Tensor2D);
    const errors = absolute(tf.sub(own, theirs));
    const [batch, width] = own.shape;
    // The last row has no next one.
    const next = tf.pad(tf.slice(errors, [1, 0], [batch - 1, width]), [
      [0, 1],
      [0, 0],
    ]);
    return tf.mul(tf.sum(tf.mul(errors, next), 1), batch / Math.max(1, batch - 1));
  },
};
