import * as tf from '@tensorflow/tfjs';
import type { KernelPatch } from './kernel.ts';

/**
 * Batch normalisation with given statistics, as element-wise operations. The stock kernel computes the inverse square
 * root anew for every element.
 */
export const fusedBatchNorm: KernelPatch = {
  name: tf.FusedBatchNorm,
  run: ({ inputs, attrs }) => {
    const { varianceEpsilon } = attrs as tf.FusedBatchNormAttrs;
    const { x, mean, variance, offset, scale } = inputs;
    return tf.tidy(() => {
      const inverse = tf.rsqrt(tf.add(variance!, varianceEpsilon));
      const centred = tf.sub(x!, mean!);
      const scaled = tf.mul(centred, scale ? tf.mul(inverse, scale) : inverse);
      return offset ? tf.add(scaled, offset) : scaled;
    });
  },
};
