import * as tf from '@tensorflow/tfjs';
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import { allocate, heapView, type KernelPatch } from './kernel.ts';
import { multiplyLines } from './products.ts';
import { SubPixelForm } from './subPixel.ts';
import { outputsInside } from './taps.ts';

/**
 * Elements of the gradient, of the same row of several images, that are looked at for all taps before the next ones: they
 * stay in the first cache. With many channels more of them, so that the sums are not read and written too often.
 */
const BLOCK_ELEMENTS = 4096;
const LEAST_POSITIONS = 32;

type ConvInfo = tf.backend_util.Conv2DInfo;

/**
 * Gradient of a convolution with respect to its filter, `[filterHeight, filterWidth, inChannels, outChannels]`: for each
 * tap, the sum over batch and positions of the outer products of the input that it sees and the gradient of the output.
 *
 * @param dy its number of channels is a multiple of 4
 */
function filterGradient(backend: BackendWasm, x: tf.Tensor4D, dy: tf.Tensor4D, info: ConvInfo): tf.Tensor4D {
  const { batchSize, inChannels, inHeight, inWidth, outHeight, outWidth, padInfo } = info;
  const { filterHeight, filterWidth, strideHeight, strideWidth } = info;
  const outChannels = dy.shape[3];
  const out = allocate(backend, [filterHeight, filterWidth, inChannels, outChannels]);
  const sums = heapView(backend, out).fill(0).byteOffset;
  const input = heapView(backend, x).byteOffset;
  const gradient = heapView(backend, dy).byteOffset;
  const images = Math.ceil(Math.max(LEAST_POSITIONS, BLOCK_ELEMENTS / outChannels) / outWidth);
  for (let row = 0; row < outHeight; row++) {
    for (let image = 0; image < batchSize; image += images) {
      for (let tap = 0; tap < filterHeight * filterWidth; tap++) {
        const y = row * strideHeight + Math.floor(tap / filterWidth) - padInfo.top;
        if (y < 0 || y >= inHeight) continue;
        const shift = padInfo.left - (tap % filterWidth);
        const [left, right] = outputsInside(inWidth, outWidth, strideWidth, shift);
        const pixel = (image * inHeight + y) * inWidth + left * strideWidth - shift;
        const position = (image * outHeight + row) * outWidth + left;
        multiplyLines(
          backend,
          {
            address: input + 4 * pixel * inChannels,
            length: inChannels,
            row: 1,
            position: strideWidth * inChannels,
            line: inHeight * inWidth * inChannels,
          },
          {
            address: gradient + 4 * position * outChannels,
            length: outChannels,
            position: outChannels,
            line: outHeight * outWidth * outChannels,
          },
          { address: sums + 4 * tap * inChannels * outChannels, overwrite: false },
          { positions: right - left, lines: Math.min(images, batchSize - image) },
        );
      }
    }
  }
  return out as tf.Tensor4D;
}

/** Fewer products than this for each element of the output are not worth the tiles. */
const LEAST_PRODUCTS = 64;
/** In a row of fewer positions, a filter is not used often enough for the time that it takes to be read. */
const LEAST_WIDTH = 8;

/**
 * Copies one image into the midst of a frame of zeros.
 *
 * @param x `[batch, inHeight, inWidth, inChannels]`
 * @param frame `[top + inHeight + bottom, left + inWidth + right, inChannels]`, zero but for where images have been before
 */
function enframe(x: Float32Array, frame: Float32Array, image: number, info: ConvInfo): void {
  const { inHeight, inWidth, inChannels, padInfo } = info;
  const run = inWidth * inChannels;
  const frameRun = (padInfo.left + inWidth + padInfo.right) * inChannels;
  for (let row = 0; row < inHeight; row++) {
    const from = (image * inHeight + row) * run;
    frame.set(x.subarray(from, from + run), (padInfo.top + row) * frameRun + padInfo.left * inChannels);
  }
}

/**
 * A convolution without dilation: each row of the output is a matrix product of the pixels that its positions see, which
 * overlap in the heap, and the filter.
 *
 * @param filter its number of output channels is a multiple of 4
 */
function convolve(backend: BackendWasm, x: tf.Tensor4D, filter: tf.Tensor4D, info: ConvInfo): tf.Tensor {
  const { batchSize, inChannels, outChannels, outHeight, outWidth, filterHeight, filterWidth, padInfo } =
    info;
  const height = padInfo.top + info.inHeight + padInfo.bottom;
  const width = padInfo.left + info.inWidth + padInfo.right;
  const padded = height > info.inHeight || width > info.inWidth;
  const out = allocate(backend, info.outShape);
  const frame = allocate(backend, padded ? [height, width, inChannels] : [0]);
  const [input, framed] = [heapView(backend, x), heapView(backend, frame).fill(0)];
  const sums = heapView(backend, out).byteOffset;
  const run = width * inChannels;
  const b = {
    address: heapView(backend, filter).byteOffset,
    length: outChannels,
    position: outChannels,
    line: filterWidth * inChannels * outChannels,
  };
  const size = { positions: filterWidth * inChannels, lines: filterHeight };
  for (let image = 0; image < batchSize; image++) {
    if (padded) enframe(input, framed, image, info);
    const pixels = padded ? framed.byteOffset : input.byteOffset + 4 * image * height * run;
    for (let row = 0; row < outHeight; row++) {
      const address = pixels + 4 * row * info.strideHeight * run;
      const a = { address, length: outWidth, row: info.strideWidth * inChannels, position: 1, line: run };
      const to = sums + 4 * (image * outHeight + row) * outWidth * outChannels;
      multiplyLines(backend, a, b, { address: to, overwrite: true }, size);
    }
  }
  frame.dispose();
  return out;
}

/** In front of XNNPACK's convolution, which takes half as long again. */
export const conv2D: KernelPatch = {
  name: tf.Conv2D,
  run: ({ inputs, attrs, backend, stock }) => {
    const { strides, pad, dilations, dimRoundingMode } = attrs as tf.Conv2DAttrs;
    const x = inputs.x as tf.Tensor4D;
    const filter = inputs.filter as tf.Tensor4D;
    const { computeConv2DInfo } = tf.backend_util;
    const info = computeConv2DInfo(x.shape, filter.shape, strides, dilations, pad, dimRoundingMode);
    const products = info.filterHeight * info.filterWidth * info.inChannels;
    const dilated = info.dilationHeight * info.dilationWidth > 1;
    if (dilated || info.outChannels % 4 !== 0 || products < LEAST_PRODUCTS || info.outWidth < LEAST_WIDTH)
      return stock();
    return convolve(backend, x, filter, info);
  },
};

/** Missing in the stock backend, which so can train no convolution. Channels last, as the forward kernel. */
export const conv2DBackpropFilter: KernelPatch = {
  name: tf.Conv2DBackpropFilter,
  run: ({ inputs, attrs, backend }) => {
    const { strides, pad, dimRoundingMode, filterShape } = attrs as tf.Conv2DBackpropFilterAttrs;
    const x = inputs.x as tf.Tensor4D;
    const dy = inputs.dy as tf.Tensor4D;
    const info = tf.backend_util.computeConv2DInfo(x.shape, filterShape, strides, 1, pad, dimRoundingMode);
    return tf.tidy(() => {
      const rest = -info.outChannels & 3;
      if (rest === 0) return filterGradient(backend, x, dy, info);
      const none: [number, number] = [0, 0];
      const padded = filterGradient(backend, x, tf.pad(dy, [none, none, none, [0, rest]]), info);
      return tf.slice(padded, [0, 0, 0, 0], filterShape);
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
