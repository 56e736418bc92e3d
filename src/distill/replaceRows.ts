import * as tf from '@tensorflow/tfjs';

/**
 * Gives some rows of a memory new values.
 *
 * @param memory `[samples, width]`
 * @param ids of the rows, all different
 * @param rows `[ids, width]`
 */
export function replaceRows(memory: tf.Variable, ids: Uint32Array, rows: tf.Tensor2D): void {
  const [samples, width] = memory.shape as [number, number];
  const kept = new Float32Array(samples).fill(1);
  for (const id of ids) kept[id] = 0;
  tf.tidy(() => {
    const at = tf.tensor2d(Int32Array.from(ids), [ids.length, 1], 'int32');
    // On the cpu backend tf.tensorScatterUpdate writes into the tensor that it is given, which others may share.
    const placed = tf.scatterND(at, rows, [samples, width]);
    memory.assign(tf.add(tf.mul(memory, tf.tensor2d(kept, [samples, 1])), placed));
  });
}
