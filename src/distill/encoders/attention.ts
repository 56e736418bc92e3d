import * as tf from '@tensorflow/tfjs';
import { unit } from '../unit.ts';
import { expectRank } from './expectRank.ts';
import type { Encoder } from './types.ts';

/**
 * Where a network looks: the mean over the channels of the squared activations, of length 1 for each sample,
 * `[batch, height, width]`; zero for a map of zeros.
 *
 * @see Zagoruyko & Komodakis, "Paying more attention to attention", ICLR 2017, arXiv 1612.03928, section 3.1
 */
export const attention: Encoder = {
  name: 'attention@1',
  summary: 'mean of the squares over the channels, normalised for each sample',
  raw: false,
  payload: 'codec',
  encode(layer) {
    expectRank('attention@1', layer.shape.slice(1), 3);
    return unit(tf.mean(tf.square(layer), 3), [1, 2]);
  },
  shape(layer, batch) {
    expectRank('attention@1', layer, 3);
    return [batch, layer[0]!, layer[1]!];
  },
};
