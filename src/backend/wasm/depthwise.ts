import * as tf from '@tensorflow/tfjs';
import { allocate, heapView, type KernelPatch } from './kernel.ts';
import { SubPixelForm } from './subPixel.ts';

type ConvInfo = tf.backend_util.Conv2DInfo;

/**
 * Gradient of a depthwise convolution with respect to its filter, `[filterHeight, filterWidth, channels, multiplier]`.
 * No forward kernel has this form, so it is a loop, with the channels innermost and sums in float64.
 */
function filterGradient(x: Float32Array, dy: Float32Array, info: ConvInfo): Float64Array {
  const { batchSize, inChannels, inHeight, inWidth, outHeight, outWidth, outChannels, padInfo } = info;
  const { strideHeight, strideWidth, filterHeight, filterWidth } = info;
  const multiplier = outChannels / inChannels;
  const sums = new Float64Array(filterHeight * filterWidth * outChannels);
  for (let b = 0; b < batchSize; b++) {
    for (let row = 0; row < outHeight; row++) {
      for (let column = 0; column < outWidth; column++) {
        const out = ((b * outHeight + row) * outWidth + column) * outChannels;
        for (let i = 0; i < filterHeight; i++) {
          const y = row * strideHeight + i - padInfo.top;
          if (y < 0 || y >= inHeight) continue;
          for (let j = 0; j < filterWidth; j++) {
            const left = column * strideWidth + j - padInfo.left;
            if (left < 0 || left >= inWidth) continue;
            const at = ((b * inHeight + y) * inWidth + left) * inChannels;
            const tap = (i * filterWidth + j) * outChannels;
            if (multiplier === 1) {
              for (let c = 0; c < inChannels; c++) sums[tap + c]! += x[at + c]! * dy[out + c]!;
            } else {
              for (let k = 0; k < outChannels; k++) {
                sums[tap + k]! += x[at + Math.floor(k / multiplier)]! * dy[out + k]!;
              }
            }
          }
        }
      }
    }
  }
  return sums;
}

function infoOf(
  inputShape: [number, number, number, number],
  filterShape: [number, number, number, number],
  attrs: Pick<tf.DepthwiseConv2dNativeBackpropInputAttrs, 'strides' | 'pad' | 'dimRoundingMode'>,
): ConvInfo {
  const { strides, pad, dimRoundingMode } = attrs;
  return tf.backend_util.computeConv2DInfo(inputShape, filterShape, strides, 1, pad, dimRoundingMode, true);
}

/** Missing in the stock backend. */
export const depthwiseBackpropFilter: KernelPatch = {
  name: tf.DepthwiseConv2dNativeBackpropFilter,
  run: ({ inputs, attrs, backend }) => {
    const call = attrs as tf.DepthwiseConv2dNativeBackpropFilterAttrs;
    const x = inputs['x'] as tf.Tensor4D;
    const dy = inputs['dy'] as tf.Tensor4D;
    const info = infoOf(x.shape, call.filterShape, call);
    const out = allocate(backend, call.filterShape);
    heapView(backend, out).set(filterGradient(heapView(backend, x), heapView(backend, dy), info));
    return out;
  },
};

/**
 * Gradient of a depthwise convolution with respect to its input; missing in the stock backend. It is a forward
 * depthwise convolution of `dy` with the flipped filter, each phase of the stride being one more output of a channel
 * (see {@link SubPixelForm}); with a channel multiplier, summed over the outputs of each channel.
 */
export const depthwiseBackpropInput: KernelPatch = {
  name: tf.DepthwiseConv2dNativeBackpropInput,
  run: ({ inputs, attrs }) => {
    const call = attrs as tf.DepthwiseConv2dNativeBackpropInputAttrs;
    const dy = inputs['dy'] as tf.Tensor4D;
    const filter = inputs['filter'] as tf.Tensor4D;
    const [height, width, channels, multiplier] = filter.shape;
    const form = new SubPixelForm(infoOf(call.inputShape, filter.shape, call));
    return tf.tidy(() => {
      const depth = channels * multiplier;
      const taps = form.split(tf.reshape(filter, [height, width, 1, depth]));
      const output = tf.depthwiseConv2d(form.cropped(dy), taps, 1, form.padding);
      const [batch, rows, columns] = output.shape;
      const phaseMajor = tf.transpose(tf.reshape(output, [-1, depth, form.phases]), [0, 2, 1]);
      const dx = form.interleave(tf.reshape(phaseMajor, [batch, rows, columns, form.phases * depth]));
      return multiplier === 1 ? dx : tf.sum(tf.reshape(dx, [...call.inputShape, multiplier]), -1);
    });
  },
};
