import * as tf from '@tensorflow/tfjs';
import { z } from 'zod';
import { cosine } from '../encoders/cosine.ts';
import { type Chooser, chosenLayers, vectorLayer } from '../layers.ts';
import type { Method } from '../types.ts';

const options = z.strictObject({ layer: vectorLayer() });

/** Added to the probabilities, as in the authors' code. */
const EPSILON = 1e-7;

const chooser: Chooser = { method: 'pkt', option: 'layer' };

/**
 * Probabilistic knowledge transfer: each sample has the same neighbours as for the teacher,
 * `ceWeight · CE(z, y) + kdWeight · mean_{ij} p^t_ij log((p^t_ij + ε) / (p_ij + ε))`, where row `i` of `p` is
 * `(1 + cosine of i and j) / 2`, divided by its sum.
 *
 * The divergence goes from teacher to student. Mean over all `batch²` elements, as in the authors' code; the paper sums.
 * Row `i` of the loss is the mean over `j`. No temperature.
 *
 * @see Passalis & Tefas, "Learning deep representations with probabilistic knowledge transfer", ECCV 2018, arXiv
 * 1803.10837, section 3
 * @see Tian, Krishnan & Isola, "Contrastive representation distillation", ICLR 2020, arXiv 1910.10699: the defaults
 */
export const pkt: Method<z.infer<typeof options>> = {
  name: 'pkt',
  summary: 'probabilistic knowledge transfer: the same neighbours as for the teacher',
  source: 'Passalis & Tefas 2018, "Probabilistic Knowledge Transfer", arXiv 1803.10837, section 3',
  teachers: 'peers',
  options,
  weights: { ce: 1, kd: 30000 },
  wholeBatch: true,
  needs: ({ layer }, layers) => ({
    logits: false,
    features: chosenLayers(chooser, [layer], layers).map((each) => ({ layer: each, encoder: 'cosine@1' })),
  }),
  loss({ student, teacher, options: { layer } }) {
    const own = neighbours(cosine.encode(student.features[layer]!));
    const theirs = neighbours(teacher!.encodings[layer]!);
    const ratio = tf.sub(tf.log(tf.add(theirs, EPSILON)), tf.log(tf.add(own, EPSILON)));
    return tf.mean(tf.mul(theirs, ratio), 1);
  },
};

function neighbours(cosines: tf.Tensor): tf.Tensor {
  // Rounding, on the way too, can put a cosine below -1.
  const scaled = tf.relu(tf.div(tf.add(cosines, 1), 2));
  return tf.div(scaled, tf.sum(scaled, 1, true));
}
