import * as tf from '@tensorflow/tfjs';
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import { allocate, heapView, type KernelPatch } from './kernel.ts';
import { SubPixelForm } from './subPixel.ts';

/** Elements of one block of the unfolded input, 1 MiB: it is written and read again while still in the cache. */
const BLOCK_ELEMENTS = 1 << 18;

type ConvInfo = tf.backend_util.Conv2DInfo;

/**
 * Writes the rows of the unfolded input (im2col), transposed, that belong to output rows `firstRow` to `lastRow - 1`.
 *
 * With the batch as the innermost axis, what one filter tap sees of one row of the image is a contiguous run, also
 * across the batch; so a block is filled by few long copies.
 *
 * @param x input, `[channels, height, width, batch]`
 * @param block `[filterHeight * filterWidth * channels, (lastRow - firstRow) * outWidth * batch]`
 */
function unfold(
  x: Float32Array,
  block: Float32Array,
  info: ConvInfo,
  firstRow: number,
  lastRow: number,
): void {
  const { batchSize, inChannels, inHeight, inWidth, outWidth, filterHeight, filterWidth } = info;
  const { strideHeight, strideWidth, padInfo } = info;
  const outRun = outWidth * batchSize;
  let to = 0;
  for (let i = 0; i < filterHeight; i++) {
    for (let j = 0; j < filterWidth; j++) {
      // The output columns, `from` to `until - 1`, whose input lies inside the image.
      const from = Math.min(outWidth, Math.max(0, Math.ceil((padInfo.left - j) / strideWidth)));
      const until = Math.min(outWidth, Math.max(from, Math.ceil((inWidth + padInfo.left - j) / strideWidth)));
      for (let c = 0; c < inChannels; c++) {
        for (let row = firstRow; row < lastRow; row++, to += outRun) {
          const y = row * strideHeight + i - padInfo.top;
          if (y < 0 || y >= inHeight) {
            block.fill(0, to, to + outRun);
            continue;
          }
          block.fill(0, to, to + from * batchSize);
          block.fill(0, to + until * batchSize, to + outRun);
          const line = (c * inHeight + y) * inWidth + j - padInfo.left;
          if (strideWidth === 1) {
            const start = (line + from) * batchSize;
            block.set(x.subarray(start, start + (until - from) * batchSize), to + from * batchSize);
            continue;
          }
          for (let column = from; column < until; column++) {
            const start = (line + column * strideWidth) * batchSize;
            block.set(x.subarray(start, start + batchSize), to + column * batchSize);
          }
        }
      }
    }
  }
}

/**
 * Gradient of a convolution with respect to its filter, `[filterHeight, filterWidth, inChannels, outChannels]`: the
 * unfolded input, transposed, times the gradient of the output, as one fast matrix product for each block of output
 * rows.
 */
function filterGradient(backend: BackendWasm, x: tf.Tensor4D, dy: tf.Tensor4D, info: ConvInfo): tf.Tensor4D {
  const { batchSize, inChannels, outChannels, outHeight, outWidth, filterHeight, filterWidth } = info;
  const taps = filterHeight * filterWidth * inChannels;
  const columns = outWidth * batchSize;
  const rows = Math.min(outHeight, Math.max(1, Math.floor(BLOCK_ELEMENTS / (taps * columns))));

  const input = tf.transpose(x, [3, 1, 2, 0]);
  const gradient = tf.reshape(tf.transpose(dy, [1, 2, 0, 3]), [outHeight * columns, outChannels]);
  let sum: tf.Tensor | undefined;
  for (let row = 0; row < outHeight; row += rows) {
    const last = Math.min(outHeight, row + rows);
    const part = tf.tidy(() => {
      const block = allocate(backend, [taps, (last - row) * columns]);
      unfold(heapView(backend, input), heapView(backend, block), info, row, last);
      const slice = tf.slice(gradient, [row * columns, 0], [(last - row) * columns, outChannels]);
      return tf.matMul(block, slice);
    });
    sum = sum ? tf.add(sum, part) : part;
  }
  return tf.reshape(sum!, [filterHeight, filterWidth, inChannels, outChannels]);
}

/** Missing in the stock backend, without which no convolution can be trained. */
export const conv2DBackpropFilter: KernelPatch = {
  name: tf.Conv2DBackpropFilter,
  run: ({ inputs, attrs, backend }) => {
    const { strides, pad, dimRoundingMode, filterShape } = attrs as tf.Conv2DBackpropFilterAttrs;
    const x = inputs['x'] as tf.Tensor4D;
    const dy = inputs['dy'] as tf.Tensor4D;
    const info = tf.backend_util.computeConv2DInfo(x.shape, filterShape, strides, 1, pad, dimRoundingMode);
    return tf.tidy(() => {
      if (info.filterHeight * info.filterWidth === 1 && info.strideHeight * info.strideWidth === 1) {
        const pixels = tf.reshape(x, [-1, info.inChannels]);
        const gradients = tf.reshape(dy, [-1, info.outChannels]);
        return tf.reshape(tf.matMul(pixels, gradients, true), filterShape);
      }
      return filterGradient(backend, x, dy, info);
    });
  },
};

/**
 * Gradient of a convolution with respect to its input: a forward convolution of `dy` with the flipped filter, also for
 * strides above 1 (see {@link SubPixelForm}). The stock kernel is a plain loop, 10 times slower.
 */
export const conv2DBackpropInput: KernelPatch = {
  name: tf.Conv2DBackpropInput,
  run: ({ inputs, attrs }) => {
    const { strides, pad, dimRoundingMode, inputShape } = attrs as tf.Conv2DBackpropInputAttrs;
    const dy = inputs['dy'] as tf.Tensor4D;
    const filter = inputs['filter'] as tf.Tensor4D;
    const info = tf.backend_util.computeConv2DInfo(
      inputShape,
      filter.shape,
      strides,
      1,
      pad,
      dimRoundingMode,
    );
    const form = new SubPixelForm(info);
    return tf.tidy(() => form.interleave(tf.conv2d(form.cropped(dy), form.split(filter), 1, form.padding)));
  },
};
