import * as tf from '@tensorflow/tfjs';
import { expectRank } from './expectRank.ts';
import type { Encoder } from './types.ts';

/** A vector for each sample, such as the embedding, as it is: `[batch, width]`. */
export const vector: Encoder = {
  name: 'vector@1',
  summary: 'the vector itself',
  raw: false,
  payload: 'codec',
  encode(layer) {
    expectRank('vector@1', layer.shape.slice(1), 1);
    return tf.clone(layer);
  },
  shape(layer, batch) {
    expectRank('vector@1', layer, 1);
    return [batch, ...layer];
  },
};
