import * as tf from '@tensorflow/tfjs';
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import { sizeFromShape } from '../../sizeFromShape.ts';
import { allocate, heapView, type KernelPatch, powerOfTwoDivisor } from './kernel.ts';

/** Most rows that one average pooling sums: its sum is in float32, what follows in float64. */
const POOLED_ROWS = 1024;
/** More columns than this overflow the stack on which XNNPACK keeps a row of sums. */
const MOST_POOLED_COLUMNS = 4096;
/** Fewer rows than this are not worth a pooling. */
const MIN_POOLED_ROWS = 4;

/** Axes that are reduced, as the middle of a `[outer, reduced, inner]` view of the tensor. */
interface MiddleView {
  readonly outer: number;
  readonly reduced: number;
  readonly inner: number;
}

/** Null when the axes are not neighbours, or are the innermost ones, which the stock kernels reduce well. */
function middleView(shape: readonly number[], axes: readonly number[]): MiddleView | null {
  const sorted = [...axes].sort((a, b) => a - b);
  const first = sorted[0];
  const last = sorted.at(-1);
  if (first === undefined || last === undefined || last - first + 1 !== sorted.length) return null;
  const view = {
    outer: sizeFromShape(shape.slice(0, first)),
    reduced: sizeFromShape(shape.slice(first, last + 1)),
    inner: sizeFromShape(shape.slice(last + 1)),
  };
  return view.outer * view.reduced * view.inner === 0 || view.inner === 1 ? null : view;
}

/**
 * Sum over the middle axis, times `scale`. The bulk is done by XNNPACK's average pooling, the only vectorised
 * reduction of the backend, over a power of two of rows, so that undoing its division is exact; the few sums that
 * remain are added in float64. The stock kernels transpose the whole tensor instead.
 *
 * @param x `[outer, reduced, inner]` in any shape of that size
 * @returns `[outer, inner]`
 */
function sumMiddle(
  backend: BackendWasm,
  x: tf.Tensor,
  { outer, reduced, inner }: MiddleView,
  scale: number,
): tf.Tensor {
  const power = powerOfTwoDivisor(reduced, POOLED_ROWS);
  const rows = power >= MIN_POOLED_ROWS && inner <= MOST_POOLED_COLUMNS ? power : 1;
  const groups = reduced / rows;
  const pooled =
    rows === 1
      ? x
      : tf.avgPool(tf.reshape<tf.Rank.R4>(x, [outer * groups, rows, 1, inner]), [rows, 1], 1, 'valid');
  const out = allocate(backend, [outer, inner]);
  const from = heapView(backend, pooled);
  const to = heapView(backend, out);
  const sums = new Float64Array(inner);
  let at = 0;
  for (let o = 0; o < outer; o++) {
    sums.fill(0);
    for (let group = 0; group < groups; group++) {
      for (let i = 0; i < inner; i++, at++) sums[i]! += from[at]!;
    }
    for (let i = 0; i < inner; i++) to[o * inner + i] = sums[i]! * rows * scale;
  }
  return out;
}

function createReduction(name: string, scaleOf: (reduced: number) => number): KernelPatch {
  return {
    name,
    run: ({ inputs, attrs, backend, stock }) => {
      const { axis, keepDims } = attrs as tf.SumAttrs;
      const x = inputs.x!;
      const axes = tf.util.parseAxisParam(axis, x.shape);
      const view = x.dtype === 'float32' ? middleView(x.shape, axes) : null;
      if (!view) return stock();
      const [kept] = tf.backend_util.computeOutAndReduceShapes(x.shape, axes);
      const shape = keepDims ? tf.backend_util.expandShapeToKeepDim(kept, axes) : kept;
      return tf.tidy(() => tf.reshape(sumMiddle(backend, x, view, scaleOf(view.reduced)), shape));
    },
  };
}

/** Sums over leading axes are the gradients of biases and of everything else that was broadcast. */
export const sum: KernelPatch = createReduction(tf.Sum, () => 1);

/** Means over leading axes are the statistics of batch normalisation; over the middle ones, global pooling. */
export const mean: KernelPatch = createReduction(tf.Mean, (reduced) => 1 / reduced);
