import * as tf from '@tensorflow/tfjs';

type Size = readonly [height: number, width: number];

/**
 * Maps averaged down to a smaller size: element `i` of `n` is the mean over the window from `⌊i·N/n⌋` to `⌈(i+1)·N/n⌉` of
 * the `N` there were, so that windows overlap where `n` does not divide `N`. PyTorch calls it adaptive average pooling.
 *
 * Each axis is one matrix product, whose gradient every backend has and is fast at.
 *
 * @param maps `[batch, height, width, channels]`
 */
export function pooled(maps: tf.Tensor4D, [height, width]: Size): tf.Tensor4D {
  if (maps.shape[1] === height && maps.shape[2] === width) return maps;
  const narrow = poolLast(tf.transpose(maps, [0, 3, 1, 2]), width);
  const small = poolLast(tf.transpose(narrow, [0, 1, 3, 2]), height);
  return tf.transpose(small, [0, 3, 2, 1]);
}

/** Maps of two networks in the same size: the larger ones are averaged down. */
export function pooledAlike(a: tf.Tensor4D, b: tf.Tensor4D): [tf.Tensor4D, tf.Tensor4D] {
  const size = [Math.min(a.shape[1], b.shape[1]), Math.min(a.shape[2], b.shape[2])] as const;
  return [pooled(a, size), pooled(b, size)];
}

function poolLast(maps: tf.Tensor4D, size: number): tf.Tensor4D {
  const [batch, channels, rows, columns] = maps.shape;
  const flat = tf.reshape(maps, [batch * channels * rows, columns]);
  const averaged = tf.matMul(flat as tf.Tensor2D, windows(columns, size));
  return tf.reshape(averaged, [batch, channels, rows, size]);
}

/** `[from, to]`: column `i` averages over its window. */
function windows(from: number, to: number): tf.Tensor2D {
  const values = new Float32Array(from * to);
  for (let i = 0; i < to; i++) {
    const start = Math.floor((i * from) / to);
    const end = Math.ceil(((i + 1) * from) / to);
    for (let at = start; at < end; at++) values[at * to + i] = 1 / (end - start);
  }
  return tf.tensor2d(values, [from, to]);
}
