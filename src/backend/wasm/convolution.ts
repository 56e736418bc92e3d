import * as tf from '@tensorflow/tfjs';
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import { allocate, heapView, type KernelPatch } from './kernel.ts';
import { SubPixelForm } from './subPixel.ts';
import { copyTap, type OutputRows } from './taps.ts';

/** Elements of one block of the unfolded input, 1 MiB: it is written and read again while still in the cache. */
const BLOCK_ELEMENTS = 1 << 18;

type ConvInfo = tf.backend_util.Conv2DInfo;

/**
 * The unfolded input (im2col), transposed, for some rows of the output. The batch is the innermost axis, so that what a
 * tap sees of a row of the image is one run across the batch, and the block is filled by few long copies.
 *
 * @param x `[inChannels, inHeight, inWidth, batch]`
 * @param block receives `[filterHeight * filterWidth * inChannels, rows * outWidth * batch]`
 */
function unfold(x: Float32Array, block: Float32Array, info: ConvInfo, rows: OutputRows): void {
  const { filterHeight, filterWidth, inChannels, batchSize } = info;
  const size = block.length / (filterHeight * filterWidth);
  for (let tap = 0; tap < filterHeight * filterWidth; tap++) {
    const position = [Math.floor(tap / filterWidth), tap % filterWidth] as const;
    copyTap(x, [inChannels, batchSize], info, position, rows, block.subarray(tap * size));
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
  const gradient = tf.transpose(dy, [1, 2, 0, 3]);
  let sum: tf.Tensor | undefined;
  for (let first = 0; first < outHeight; first += rows) {
    const last = Math.min(outHeight, first + rows);
    const part = tf.tidy(() => {
      const left = allocate(backend, [taps, (last - first) * columns]);
      const right = allocate(backend, [(last - first) * columns, outChannels]);
      unfold(heapView(backend, input), heapView(backend, left), info, { first, last });
      const run = columns * outChannels;
      heapView(backend, right).set(heapView(backend, gradient).subarray(first * run, last * run));
      return tf.matMul(left, right);
    });
    sum = sum ? tf.add(sum, part) : part;
  }
  return tf.reshape(sum!, [filterHeight, filterWidth, inChannels, outChannels]);
}

/** Missing in the stock backend, which so can train no convolution. Channels last, as the forward kernel. */
export const conv2DBackpropFilter: KernelPatch = {
  name: tf.Conv2DBackpropFilter,
  run: ({ inputs, attrs, backend }) => {
    const { strides, pad, dimRoundingMode, filterShape } = attrs as tf.Conv2DBackpropFilterAttrs;
    const x = inputs.x as tf.Tensor4D;
    const dy = inputs.dy as tf.Tensor4D;
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
  run: ({ inputs, attrs, backend }) => {
    const { strides, pad, dimRoundingMode, inputShape } = attrs as tf.Conv2DBackpropInputAttrs;
    const dy = inputs.dy as tf.Tensor4D;
    const filter = inputs.filter as tf.Tensor4D;
    const info = tf.backend_util.computeConv2DInfo(
      inputShape,
      filter.shape,
      strides,
      1,
      pad,
      dimRoundingMode,
    );
    const form = new SubPixelForm(info);
    return tf.tidy(() =>
      form.interleave(tf.conv2d(form.cropped(dy), form.split(backend, filter), 1, form.padding)),
    );
  },
};
