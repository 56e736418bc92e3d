import * as tf from '@tensorflow/tfjs';
import { allocate, heapView, type KernelPatch } from './kernel.ts';

/**
 * Adds up rows by the segment they belong to: the gradient of `tf.gather`, so of an embedding. Missing in the stock
 * backend. Rows with an id outside `[0, numSegments)` are left out, as in the cpu backend.
 */
export const unsortedSegmentSum: KernelPatch = {
  name: tf.UnsortedSegmentSum,
  run: ({ inputs, attrs, backend }) => {
    const { numSegments } = attrs as tf.UnsortedSegmentSumAttrs;
    const x = inputs.x!;
    const segmentIds = inputs.segmentIds!;
    const inner = x.shape.slice(segmentIds.rank);
    const width = tf.util.sizeFromShape(inner);
    const out = allocate(backend, [numSegments, ...inner]);
    const sums = heapView(backend, out);
    const rows = heapView(backend, x);
    const ids = backend.typedArrayFromHeap(segmentIds);
    sums.fill(0);
    for (let row = 0; row < segmentIds.size; row++) {
      const segment = ids[row]!;
      if (segment < 0 || segment >= numSegments) continue;
      for (let i = 0; i < width; i++) sums[segment * width + i]! += rows[row * width + i]!;
    }
    return out;
  },
};
