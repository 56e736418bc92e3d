import * as tf from '@tensorflow/tfjs';
import type { KernelPatch } from './kernel.ts';

/** Swaps the two innermost axes. */
function transposeMatrices(x: tf.Tensor3D): tf.Tensor3D {
  return tf.transpose(x, [0, 2, 1]);
}

/** Matrix `index` of a stack `[batch, rows, columns]`; of a stack of one, always that one. */
function matrixAt(stack: tf.Tensor3D, index: number): tf.Tensor2D {
  const [batch, rows, columns] = stack.shape;
  const matrix = batch === 1 ? stack : tf.slice(stack, [index, 0, 0], [1, rows, columns]);
  return tf.reshape(matrix, [rows, columns]);
}

function asStack(x: tf.Tensor): tf.Tensor3D {
  return tf.reshape(x, [-1, x.shape.at(-2)!, x.shape.at(-1)!]);
}

/**
 * Matrix product. The stock kernel is fast for one plain product only and a plain loop, 10 to 30 times slower, for
 * transposed factors, which the gradient of every dense layer has, and for batches. So factors are transposed first,
 * and a batch is multiplied one by one.
 */
export const batchMatMul: KernelPatch = {
  name: tf.BatchMatMul,
  run: ({ inputs, attrs, stock }) => {
    const { transposeA, transposeB } = attrs as tf.BatchMatMulAttrs;
    const a = inputs.a!;
    const b = inputs.b!;
    const batchOf = (x: tf.Tensor) => tf.util.sizeFromShape(x.shape.slice(0, -2));
    const batch = Math.max(batchOf(a), batchOf(b));
    const mixed = batchOf(a) !== batchOf(b) && Math.min(batchOf(a), batchOf(b)) !== 1;
    const empty = a.size === 0 || b.size === 0;
    if (mixed || empty || (!transposeA && !transposeB && batch === 1)) return stock();

    return tf.tidy(() => {
      const left = transposeA ? transposeMatrices(asStack(a)) : asStack(a);
      const right = transposeB ? transposeMatrices(asStack(b)) : asStack(b);
      const products: tf.Tensor2D[] = [];
      for (let i = 0; i < batch; i++) products.push(tf.matMul(matrixAt(left, i), matrixAt(right, i)));
      const outer = tf.backend_util.assertAndGetBroadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
      return tf.reshape(batch === 1 ? products[0]! : tf.stack(products), [
        ...outer,
        left.shape[1],
        right.shape[2],
      ]);
    });
  },
};
