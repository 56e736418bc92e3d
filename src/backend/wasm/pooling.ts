import * as tf from '@tensorflow/tfjs';
import { allocate, heapView, type KernelPatch } from './kernel.ts';

type PoolInfo = tf.backend_util.Conv2DInfo;

/**
 * Adds each output's gradient to the input that was the maximum of its window: the first of several equal ones, by
 * rows, as in the cpu backend. Ties are frequent: after relu most windows of a dead region hold zeros only.
 */
function scatterToMaximum(x: Float32Array, dy: Float32Array, dx: Float32Array, info: PoolInfo): void {
  const { batchSize, inChannels: channels, inHeight, inWidth, outHeight, outWidth, padInfo } = info;
  const { strideHeight, strideWidth, filterHeight, filterWidth } = info;
  let out = 0;
  for (let b = 0; b < batchSize; b++) {
    for (let row = 0; row < outHeight; row++) {
      const top = row * strideHeight - padInfo.top;
      const yStart = Math.max(0, top);
      const yEnd = Math.min(inHeight, top + filterHeight);
      for (let column = 0; column < outWidth; column++) {
        const left = column * strideWidth - padInfo.left;
        const xStart = Math.max(0, left);
        const xEnd = Math.min(inWidth, left + filterWidth);
        for (let c = 0; c < channels; c++, out++) {
          let best = ((b * inHeight + yStart) * inWidth + xStart) * channels + c;
          let maximum = x[best]!;
          for (let y = yStart; y < yEnd; y++) {
            let at = ((b * inHeight + y) * inWidth + xStart) * channels + c;
            for (let i = xStart; i < xEnd; i++, at += channels) {
              const value = x[at]!;
              if (value > maximum) {
                maximum = value;
                best = at;
              }
            }
          }
          dx[best]! += dy[out]!;
        }
      }
    }
  }
}

/** Gradient of max pooling in one pass over the windows; the stock kernel visits every window of every input. */
export const maxPoolGrad: KernelPatch = {
  name: tf.MaxPoolGrad,
  run: ({ inputs, attrs, backend }) => {
    const { filterSize, strides, pad, dimRoundingMode } = attrs as tf.MaxPoolGradAttrs;
    const x = inputs.input as tf.Tensor4D;
    const dy = inputs.dy as tf.Tensor4D;
    const info = tf.backend_util.computePool2DInfo(x.shape, filterSize, strides, 1, pad, dimRoundingMode);
    const dx = allocate(backend, x.shape);
    const gradient = heapView(backend, dx);
    gradient.fill(0);
    scatterToMaximum(heapView(backend, x), heapView(backend, dy), gradient, info);
    return dx;
  },
};
