import * as tf from '@tensorflow/tfjs';
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import { allocate, heapView, type KernelPatch } from './kernel.ts';
import { SubPixelForm } from './subPixel.ts';
import { copyTap } from './taps.ts';

type ConvInfo = tf.backend_util.Conv2DInfo;

/**
 * Gradient of a depthwise convolution with respect to its filter, `[filterHeight, filterWidth, channels, multiplier]`:
 * for each tap, the input that it sees times the gradient of the output, summed over batch and positions.
 */
function filterGradient(backend: BackendWasm, x: tf.Tensor4D, dy: tf.Tensor4D, info: ConvInfo): tf.Tensor {
  const { batchSize, inChannels, outChannels, outHeight, outWidth, filterHeight, filterWidth } = info;
  const positions = batchSize * outHeight * outWidth;
  const multiplier = outChannels / inChannels;
  const innerShape = multiplier === 1 ? [inChannels] : [inChannels, multiplier];
  const gradient = tf.reshape(dy, [positions, ...innerShape]);
  const seen = allocate(backend, multiplier === 1 ? [positions, inChannels] : [positions, inChannels, 1]);
  const taps: tf.Tensor[] = [];
  for (let tap = 0; tap < filterHeight * filterWidth; tap++) {
    const position = [Math.floor(tap / filterWidth), tap % filterWidth] as const;
    copyTap(heapView(backend, x), info, position, heapView(backend, seen));
    taps.push(tf.tidy(() => tf.sum(tf.mul(seen, gradient), 0)));
  }
  return tf.reshape(tf.stack(taps), [filterHeight, filterWidth, inChannels, multiplier]);
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
    const x = inputs.x as tf.Tensor4D;
    const dy = inputs.dy as tf.Tensor4D;
    return tf.tidy(() => filterGradient(backend, x, dy, infoOf(x.shape, call.filterShape, call)));
  },
};

/**
 * Gradient of a depthwise convolution with respect to its input; missing in the stock backend. It is a forward
 * depthwise convolution of `dy` with the flipped filter, each phase of the stride being one more output of a channel
 * (see {@link SubPixelForm}); with a channel multiplier, summed over the outputs of each channel.
 */
export const depthwiseBackpropInput: KernelPatch = {
  name: tf.DepthwiseConv2dNativeBackpropInput,
  run: ({ inputs, attrs, backend }) => {
    const call = attrs as tf.DepthwiseConv2dNativeBackpropInputAttrs;
    const dy = inputs.dy as tf.Tensor4D;
    const filter = inputs.filter as tf.Tensor4D;
    const [height, width, channels, multiplier] = filter.shape;
    const form = new SubPixelForm(infoOf(call.inputShape, filter.shape, call));
    return tf.tidy(() => {
      const depth = channels * multiplier;
      const taps = form.split(backend, tf.reshape(filter, [height, width, 1, depth]));
      const output = tf.depthwiseConv2d(form.cropped(dy), taps, 1, form.padding);
      const [batch, rows, columns] = output.shape;
      const phaseMajor = tf.transpose(tf.reshape(output, [-1, depth, form.phases]), [0, 2, 1]);
      const dx = form.interleave(tf.reshape(phaseMajor, [batch, rows, columns, form.phases * depth]));
      return multiplier === 1 ? dx : tf.sum(tf.reshape(dx, [...call.inputShape, multiplier]), -1);
    });
  },
};
