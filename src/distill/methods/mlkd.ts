import * as tf from '@tensorflow/tfjs';
import { z } from 'zod';
import { softenedDivergence } from '../softenedDivergence.ts';
import type { Method } from '../types.ts';

const options = z.strictObject({
  temperatures: z
    .array(z.number().positive())
    .min(1)
    .default([2, 3, 4, 5, 6])
    .describe('each divides the logits once; the losses of all are added up'),
  lessCertainHalf: z
    .boolean()
    .default(false)
    .describe(
      'whether only those samples and classes count of which the teacher is less certain than of the median one',
    ),
});

/**
 * Multi-level logit distillation: `ceWeight · CE(z, y) + kdWeight · Σ_T (instance + batch + class)`, with
 *
 * - `instance = mean_b T² · KL(p_b ‖ q_b)`
 * - `batch = ‖P Pᵀ - Q Qᵀ‖² / batch`, how alike the samples are
 * - `class = ‖Pᵀ P - Qᵀ Q‖² / classes`, how the classes go together
 *
 * for the rows `p_b` of `P = softmax(z_t / T)` and `q_b` of `Q = softmax(z / T)`; norms are Frobenius', squared, and only
 * the first has the factor `T²`. The value of a sample is its own part of the first two, and all of the third.
 *
 * The authors add this up over a weakly and a strongly augmented view of each sample; this is the loss of the one view
 * that a batch has. On the weak view they mean to keep the samples of which the teacher is less certain than the median
 * (and the classes, by the sum of their probabilities), at T = 1: `lessCertainHalf` does that, row by row and column by
 * column, where their code multiplies the whole loss by the share of samples kept.
 *
 * @see Jin, Wang & Lin, "Multi-level logit distillation", CVPR 2023, section 3
 */
export const mlkd: Method<z.infer<typeof options>> = {
  name: 'mlkd',
  summary: 'distillation at several temperatures, of samples, of their likeness, and of that of the classes',
  source: 'Jin et al. 2023, "Multi-Level Logit Distillation", CVPR, section 3',
  teachers: 'peers',
  options,
  weights: { ce: 0.1, kd: 0.9 },
  wholeBatch: true,
  loss: ({ student, teacher, options: { temperatures, lessCertainHalf } }) => {
    const [z, target] = [student.logits, teacher!.logits!];
    const [rows, classes] = z.shape;
    const certainty = tf.softmax(target);
    const kept = lessCertainHalf
      ? { rows: lesserHalf(tf.max(certainty, 1)), columns: lesserHalf(tf.sum(certainty, 0)) }
      : { rows: tf.ones([rows]), columns: tf.ones([classes]) };
    const losses = temperatures.map((T) => {
      const [q, p] = [z, target].map((logits) => tf.softmax(tf.div(logits, T) as tf.Tensor2D)) as [
        tf.Tensor2D,
        tf.Tensor2D,
      ];
      const batch = squaredDifferences(tf.matMul(q, q, false, true), tf.matMul(p, p, false, true));
      const classwise = squaredDifferences(tf.matMul(q, q, true), tf.matMul(p, p, true));
      const own = tf.mul(tf.add(softenedDivergence(z, target, T), batch), kept.rows);
      return tf.add(own, tf.div(tf.sum(tf.mul(classwise, kept.columns)), classes));
    });
    return tf.addN(losses) as tf.Tensor1D;
  },
};

/** `Σ_j (a_ij - b_ij)²` of each row `i`. */
function squaredDifferences(a: tf.Tensor, b: tf.Tensor): tf.Tensor {
  return tf.sum(tf.square(tf.sub(a, b)), 1);
}

/** 1 for each value that is not above the median, else 0: fewer than half of the values are less than it. */
function lesserHalf(values: tf.Tensor): tf.Tensor {
  const lesser = tf.sum(tf.cast(tf.less(tf.expandDims(values, 0), tf.expandDims(values, 1)), 'float32'), 1);
  return tf.cast(tf.less(lesser, values.size / 2), 'float32');
}
