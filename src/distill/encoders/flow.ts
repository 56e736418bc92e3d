import * as tf from '@tensorflow/tfjs';
import { pooledAlike } from '../maps.ts';
import { expectRank } from './expectRank.ts';
import type { Encoder } from './types.ts';

/**
 * The flow of the solution procedure from one layer to a later one: the inner products of their channels, mean over the
 * positions, `[batch, channels of the later layer, channels of the first]`. The larger map is averaged down first.
 *
 * @see Yim et al., "A gift from knowledge distillation", CVPR 2017, equation 1
 */
export const flow: Encoder = {
  name: 'flow@1',
  summary: 'inner products of the channels of two layers',
  raw: false,
  payload: 'codec',
  encode(layer, next) {
    for (const each of [layer, next!]) expectRank('flow@1', each.shape.slice(1), 3);
    const [from, to] = pooledAlike(layer as tf.Tensor4D, next as tf.Tensor4D);
    const [batch, height, width] = from.shape;
    const rows = [from, to].map((maps) => tf.reshape(maps, [batch, height * width, maps.shape[3]]));
    return tf.div(tf.matMul(rows[1]!, rows[0]!, true, false), height * width);
  },
  shape(layer, batch, next) {
    for (const each of [layer, next!]) expectRank('flow@1', each, 3);
    return [batch, next![2]!, layer[2]!];
  },
};
