import * as tf from '@tensorflow/tfjs';
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import { advance, code, get, integer, repeat, set, simd, type WasmFunction } from './assembler.ts';
import { compiled } from './compiled.ts';
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

/**
 * The same for windows that lie inside the image, four channels at once and without branches, which on images are
 * foretold badly: 8 times as fast.
 *
 * @returns a function of the addresses of the first window in x, of dy and of that window in dx, and of the number of
 *   outputs in the row
 */
function rowFunction(info: PoolInfo): WasmFunction {
  const { filterHeight, filterWidth, inWidth, inChannels, strideWidth } = info;
  const window = Array.from({ length: filterHeight * filterWidth }, (_, i) => {
    return 4 * (Math.floor(i / filterWidth) * inWidth + (i % filterWidth)) * inChannels;
  });
  const [x, dy, dx, outputs, vectors] = [0, 1, 2, 3, 4] as const;
  const [maximum, gradient, open, hit] = [5, 6, 7, 8] as const;
  const fourChannels = code(
    code(simd.load(x), set(maximum)),
    ...window.map((at) => code(simd.greater(get(maximum), simd.load(x, at)), set(maximum))),
    code(simd.load(dy), set(gradient)),
    code(simd.everywhere, set(open)),
    ...window.map((at) =>
      code(
        code(simd.and(get(open), simd.equal(simd.load(x, at), get(maximum))), set(hit)),
        code(simd.without(get(open), get(hit)), set(open)),
        simd.store(dx, simd.add(simd.load(dx, at), simd.and(get(gradient), get(hit))), at),
      ),
    ),
    ...[x, dy, dx].map((pointer) => advance(pointer, integer(16))),
  );
  const output = code(
    code(integer(inChannels / 4), set(vectors)),
    repeat(vectors, fourChannels),
    ...[x, dx].map((pointer) => advance(pointer, integer(4 * (strideWidth - 1) * inChannels))),
  );
  return { parameters: 4, integers: 1, vectors: 4, body: repeat(outputs, output) };
}

function scatterRows(backend: BackendWasm, x: number, dy: number, dx: number, info: PoolInfo): void {
  const { batchSize, inHeight, inWidth, inChannels, outHeight, outWidth, strideHeight } = info;
  const { filterHeight, filterWidth, strideWidth } = info;
  const key = `max pooling ${[filterHeight, filterWidth, inWidth, inChannels, strideWidth]}`;
  const [scatterRow] = compiled(backend, key, () => [rowFunction(info)]);
  for (let row = 0; row < batchSize * outHeight; row++) {
    const line = Math.floor(row / outHeight) * inHeight + (row % outHeight) * strideHeight;
    const at = 4 * line * inWidth * inChannels;
    scatterRow!(x + at, dy + 4 * row * outWidth * inChannels, dx + at, outWidth);
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
    const [from, to, gradient] = [x, dx, dy].map((tensor) => heapView(backend, tensor)) as [
      Float32Array,
      Float32Array,
      Float32Array,
    ];
    to.fill(0);
    const { top, bottom, left, right } = info.padInfo;
    const inside = top + bottom + left + right === 0;
    if (inside && info.inChannels % 4 === 0 && dy.size > 0) {
      scatterRows(backend, from.byteOffset, gradient.byteOffset, to.byteOffset, info);
    } else scatterToMaximum(from, gradient, to, info);
    return dx;
  },
};
