import * as tf from '@tensorflow/tfjs';
import { expectRank } from './expectRank.ts';
import type { Encoder } from './types.ts';

/**
 * Which neurons of a map are active, 1 or 0: `[batch, height, width, channels]`. It is the same before and after a
 * rectifier.
 *
 * @see Heo et al., "Knowledge transfer via distillation of activation boundaries", AAAI 2019, arXiv 1811.03233,
 * section 3
 */
export const signs: Encoder = {
  name: 'signs@1',
  summary: 'which activations are above 0',
  raw: false,
  payload: 'bits',
  encode(layer) {
    expectRank('signs@1', layer.shape.slice(1), 3);
    return tf.cast(tf.greater(layer, 0), 'float32');
  },
  shape(layer, batch) {
    expectRank('signs@1', layer, 3);
    return [batch, ...layer];
  },
};
