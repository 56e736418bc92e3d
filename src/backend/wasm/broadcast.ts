import * as tf from '@tensorflow/tfjs';
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import { allocate, heapView, type KernelPatch, powerOfTwoDivisor } from './kernel.ts';

/** Length of the rows that the vectorised loops work on; shorter ones are joined. */
const ROW = 512;

/** Length of a vector `[1, ..., 1, n]` whose `n` is the innermost size of `shape`; 0 for anything else. */
function channelsOf(vector: tf.Tensor, shape: readonly number[]): number {
  const channels = vector.shape.at(-1) ?? 0;
  return vector.rank <= shape.length && vector.size === channels && channels === shape.at(-1) ? channels : 0;
}

/** A vector written `times` times in a row. */
function repeat(backend: BackendWasm, vector: tf.Tensor, times: number): tf.Tensor {
  const out = allocate(backend, [vector.size * times]);
  const to = heapView(backend, out);
  const from = heapView(backend, vector);
  for (let i = 0; i < times; i++) to.set(from, i * from.length);
  return out;
}

/**
 * An element-wise operation of a tensor and one value for each channel, as in biases and batch normalisation. XNNPACK
 * calls its loop once for each innermost row, and 16 channels are too short a row to be worth the call; so several
 * rows are taken as one, and the vector is repeated.
 */
function channelWise(name: string): KernelPatch {
  return {
    name,
    run: ({ inputs, backend, stock }) => {
      const a = inputs.a!;
      const b = inputs.b!;
      const [large, vector] = a.size >= b.size ? [a, b] : [b, a];
      const channels = channelsOf(vector, large.shape);
      const float = a.dtype === 'float32' && b.dtype === 'float32';
      if (!float || channels < 2 || channels > ROW / 2) return stock();
      const rows = large.size / channels;
      const joined = powerOfTwoDivisor(rows, 2 ** Math.floor(Math.log2(ROW / channels)));
      if (joined < 2 || rows < 2) return stock();
      return tf.tidy(() => {
        const folded = tf.reshape(large, [rows / joined, joined * channels]);
        const repeated = repeat(backend, vector, joined);
        const pair = large === a ? { a: folded, b: repeated } : { a: repeated, b: folded };
        return tf.reshape(tf.engine().runKernel(name, pair) as tf.Tensor, large.shape);
      });
    },
  };
}

export const channelWiseOperations: readonly KernelPatch[] = [tf.Add, tf.Sub, tf.Multiply, tf.RealDiv].map(
  channelWise,
);
