import * as tf from '@tensorflow/tfjs';
import { expectRank } from './expectRank.ts';
import type { Encoder } from './types.ts';

/** A map as it is: `[batch, height, width, channels]`. */
export const map: Encoder = {
  name: 'map@1',
  summary: 'the whole map',
  raw: true,
  payload: 'codec',
  encode(layer) {
    expectRank('map@1', layer.shape.slice(1), 3);
    return tf.clone(layer);
  },
  shape(layer, batch) {
    expectRank('map@1', layer, 3);
    return [batch, ...layer];
  },
};
