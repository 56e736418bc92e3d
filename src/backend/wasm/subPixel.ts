import * as tf from '@tensorflow/tfjs';
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import { allocate, heapView } from './kernel.ts';

type ConvInfo = tf.backend_util.Conv2DInfo;

/** One axis, vertical or horizontal, of a strided convolution's input gradient, seen as a convolution of stride 1. */
interface Axis {
  readonly stride: number;
  /** Filter taps that reach one input pixel: the filter's size divided by the stride, rounded up. */
  readonly taps: number;
  /** Zeros around `dy`; where negative, that many of its outer elements saw only padding and are cut off. */
  readonly before: number;
  readonly after: number;
  /** What the interleaved phases have in front of the input's first pixel. */
  readonly crop: number;
}

function axisOf(size: number, outSize: number, filter: number, stride: number, padding: number): Axis {
  const taps = Math.ceil(filter / stride);
  const first = Math.floor(padding / stride);
  return {
    stride,
    taps,
    before: taps - 1 - first,
    after: Math.ceil((size + padding) / stride) - outSize,
    crop: padding - first * stride,
  };
}

/**
 * The sub-pixel form of a transposed convolution (Shi et al. 2016, arXiv 1609.07009). The input pixels whose padded
 * position leaves the same remainder, or phase, by division with the stride all see the same subset of filter taps: so
 * each phase is a convolution of stride 1 over `dy`, and all phases together are one convolution with
 * `stride * stride` times the channels, whose output is then interleaved. No zeros are inserted into `dy`.
 */
export class SubPixelForm {
  private readonly info: ConvInfo;
  private readonly y: Axis;
  private readonly x: Axis;

  constructor(info: ConvInfo) {
    this.info = info;
    const { padInfo } = info;
    this.y = axisOf(info.inHeight, info.outHeight, info.filterHeight, info.strideHeight, padInfo.top);
    this.x = axisOf(info.inWidth, info.outWidth, info.filterWidth, info.strideWidth, padInfo.left);
  }

  get phases(): number {
    return this.y.stride * this.x.stride;
  }

  /** Padding of the convolution over {@link cropped} `dy`. */
  get padding(): tf.backend_util.ExplicitPadding {
    const { y, x } = this;
    return [
      [0, 0],
      [Math.max(0, y.before), Math.max(0, y.after)],
      [Math.max(0, x.before), Math.max(0, x.after)],
      [0, 0],
    ];
  }

  /** `dy` without the rows and columns whose windows lie in the padding entirely: only a padding of filter size has any. */
  cropped(dy: tf.Tensor4D): tf.Tensor4D {
    const { y, x } = this;
    if (Math.min(y.before, y.after, x.before, x.after) >= 0) return dy;
    const [batch, height, width, channels] = dy.shape;
    const top = Math.max(0, -y.before);
    const left = Math.max(0, -x.before);
    const rows = height - top - Math.max(0, -y.after);
    const columns = width - left - Math.max(0, -x.after);
    return tf.slice(dy, [0, top, left, 0], [batch, rows, columns, channels]);
  }

  /**
   * The filter's taps by phase, in reversed order as a forward convolution needs them; 0 where a phase has fewer.
   *
   * @param filter `[filterHeight, filterWidth, rows, columns]`
   * @returns `[tapsY, tapsX, columns, strideHeight * strideWidth * rows]`, the phase's row outermost
   */
  split(backend: BackendWasm, filter: tf.Tensor4D): tf.Tensor4D {
    const { y, x, phases } = this;
    const [height, width, rows, columns] = filter.shape;
    const out = allocate(backend, [y.taps, x.taps, columns, phases * rows]) as tf.Tensor4D;
    const to = heapView(backend, out).fill(0);
    const from = heapView(backend, filter);
    for (let i = 0; i < height; i++) {
      for (let j = 0; j < width; j++) {
        const tap = (y.taps - 1 - Math.floor(i / y.stride)) * x.taps + x.taps - 1 - Math.floor(j / x.stride);
        const phase = (i % y.stride) * x.stride + (j % x.stride);
        let at = (i * width + j) * rows * columns;
        for (let row = 0; row < rows; row++) {
          let target = (tap * columns * phases + phase) * rows + row;
          for (let column = 0; column < columns; column++, target += phases * rows) to[target] = from[at++]!;
        }
      }
    }
    return out;
  }

  /**
   * Puts the phases at their places.
   *
   * @param output `[batch, rows, columns, strideHeight * strideWidth * channels]`, the phase's row outermost
   * @returns `[batch, inHeight, inWidth, channels]`
   */
  interleave(output: tf.Tensor4D): tf.Tensor4D {
    if (this.phases === 1) return output;
    const { y, x, info } = this;
    const [batch, rows, columns, depth] = output.shape;
    const channels = depth / this.phases;
    const apart = tf.reshape(output, [batch * rows, columns, y.stride, x.stride * channels]);
    const woven = tf.transpose(apart, [0, 2, 1, 3]);
    const whole = tf.reshape<tf.Rank.R4>(woven, [batch, rows * y.stride, columns * x.stride, channels]);
    if (whole.shape[1] === info.inHeight && whole.shape[2] === info.inWidth) return whole;
    return tf.slice(whole, [0, y.crop, x.crop, 0], [batch, info.inHeight, info.inWidth, channels]);
  }
}
