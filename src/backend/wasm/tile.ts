import * as tf from '@tensorflow/tfjs';
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import { allocate, heapView, type KernelPatch } from './kernel.ts';

/** Writes each run of `length` elements `times` times. */
function repeatRuns(backend: BackendWasm, x: tf.Tensor, length: number, times: number): tf.Tensor {
  const out = allocate(backend, [x.size * times]);
  const from = heapView(backend, x);
  const to = heapView(backend, out);
  for (let start = 0; start < from.length; start += length) {
    const run = from.subarray(start, start + length);
    for (let i = 0; i < times; i++) to.set(run, start * times + i * length);
  }
  return out;
}

/** Tiling, which is also broadcasting, by whole runs, axis by axis from the innermost; the stock kernel computes indices. */
export const tile: KernelPatch = {
  name: tf.Tile,
  run: ({ inputs, attrs, backend, stock }) => {
    const { reps } = attrs as tf.TileAttrs;
    const x = inputs.x!;
    if (x.dtype !== 'float32' || x.size === 0 || reps.includes(0)) return stock();
    return tf.tidy(() => {
      let tiled = x;
      let length = 1;
      for (let axis = x.rank - 1; axis >= 0; axis--) {
        length *= x.shape[axis]!;
        if (reps[axis] !== 1) tiled = repeatRuns(backend, tiled, length, reps[axis]!);
        length *= reps[axis]!;
      }
      return tf.reshape(
        tiled,
        x.shape.map((size, axis) => size * reps[axis]!),
      );
    });
  },
};
