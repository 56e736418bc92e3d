import * as tf from '@tensorflow/tfjs';
import { allocate, heapView, type KernelPatch } from './kernel.ts';

/**
 * A slice, copied in runs that are as long as the memory allows: all axes that are taken whole belong to the run. The
 * stock kernel copies one innermost row at a time. Slices are the gradient of padding.
 */
export const slice: KernelPatch = {
  name: tf.Slice,
  run: ({ inputs, attrs, backend, stock }) => {
    const { begin, size } = attrs as tf.SliceAttrs;
    const x = inputs.x!;
    const [starts, sizes] = tf.slice_util.parseSliceParams(x, begin, size) as [number[], number[]];
    if (x.dtype !== 'float32' || x.rank === 0) return stock();
    tf.slice_util.assertParamsValid(x, starts, sizes);

    let axis = x.rank - 1;
    while (axis > 0 && sizes[axis] === x.shape[axis]) axis--;
    const strides = [...tf.util.computeStrides(x.shape), 1];
    const run = sizes[axis]! * strides[axis]!;
    const out = allocate(backend, sizes);
    const from = heapView(backend, x);
    const to = heapView(backend, out);
    const index = starts.slice(0, axis + 1);
    let source =
      tf.util.sizeFromShape(sizes) && index.reduce((sum, start, i) => sum + start * strides[i]!, 0);
    for (let target = 0; target < to.length; target += run) {
      to.set(from.subarray(source, source + run), target);
      // Advances the position by one run, like an odometer.
      for (let i = axis - 1; i >= 0; i--) {
        index[i]!++;
        source += strides[i]!;
        if (index[i]! < starts[i]! + sizes[i]!) break;
        index[i] = starts[i]!;
        source -= sizes[i]! * strides[i]!;
      }
    }
    return out;
  },
};
