import * as tf from '@tensorflow/tfjs';
import { unit } from '../unit.ts';
import type { Encoder } from './types.ts';

/**
 * How alike the samples of the batch are: the inner products of their flattened activations, each row of length 1,
 * `[batch, batch]`. Inner products do not depend on the order in which a map is flattened.
 *
 * @see Tung & Mori, "Similarity-preserving knowledge distillation", ICCV 2019, arXiv 1907.09682, section 3
 */
export const gram: Encoder = {
  name: 'gram@1',
  summary: 'inner products of the samples with each other, rows normalised',
  raw: false,
  payload: 'codec',
  encode(layer) {
    const rows = tf.reshape(layer, [layer.shape[0]!, -1]) as tf.Tensor2D;
    return unit(tf.matMul(rows, rows, false, true), 1);
  },
  shape: (_, batch) => [batch, batch],
};
