import * as tf from '@tensorflow/tfjs';
import { z } from 'zod';
import { gram } from '../encoders/gram.ts';
import { type Chooser, chosenStage, lastStage } from '../layers.ts';
import type { Method } from '../types.ts';

const options = z.strictObject({ layer: lastStage() });

const chooser: Chooser = { method: 'sp', option: 'layer' };

/**
 * Similarity-preserving distillation: samples that are alike to the teacher shall be alike to the student,
 * `ceWeight · CE(z, y) + kdWeight · ‖Ĝ - Ĝ_t‖² / batch²`, where `Ĝ` are the inner products of the samples' activations,
 * each row normalised.
 *
 * Row `i` of the loss is the sum over `j`, divided by the batch. No temperature. Maps of any sizes can be compared.
 *
 * @see Tung & Mori, "Similarity-preserving knowledge distillation", ICCV 2019, arXiv 1907.09682, section 3
 * @see Tian, Krishnan & Isola, "Contrastive representation distillation", ICLR 2020, arXiv 1910.10699: the defaults
 */
export const sp: Method<z.infer<typeof options>> = {
  name: 'sp',
  summary: 'similarity-preserving: samples that are alike to the teacher shall be so to the student',
  source: 'Tung & Mori 2019, "Similarity-Preserving Knowledge Distillation", arXiv 1907.09682, section 3',
  teachers: 'peers',
  options,
  weights: { ce: 1, kd: 3000 },
  wholeBatch: true,
  needs: ({ layer }, layers) => ({
    logits: false,
    features: [{ layer: chosenStage(chooser, layer, layers), encoder: 'gram@1' }],
  }),
  loss({ student, teacher }) {
    const [[layer, theirs]] = Object.entries(teacher!.encodings) as [[string, tf.Tensor]];
    const difference = tf.sub(gram.encode(student.features[layer]!), theirs);
    return tf.mean(tf.square(difference), 1);
  },
};
