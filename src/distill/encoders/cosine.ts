import * as tf from '@tensorflow/tfjs';
import { lengths } from '../unit.ts';
import { expectRank } from './expectRank.ts';
import type { Encoder } from './types.ts';

/** Added to every length, as in the authors' code. */
const EPSILON = 1e-7;

/**
 * The cosines between the vectors of the samples of the batch, `[batch, batch]`; 0 for a vector of zeros.
 *
 * @see Passalis & Tefas, "Learning deep representations with probabilistic knowledge transfer", ECCV 2018, arXiv
 * 1803.10837, section 3
 */
export const cosine: Encoder = {
  name: 'cosine@1',
  summary: 'cosines of the samples with each other',
  raw: false,
  payload: 'codec',
  encode(layer) {
    expectRank('cosine@1', layer.shape.slice(1), 1);
    const rows = tf.div(layer, tf.add(lengths(layer, 1), EPSILON)) as tf.Tensor2D;
    return tf.matMul(rows, rows, false, true);
  },
  shape(layer, batch) {
    expectRank('cosine@1', layer, 1);
    return [batch, batch];
  },
};
