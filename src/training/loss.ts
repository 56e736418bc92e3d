import * as tf from '@tensorflow/tfjs';
import { crossEntropy } from '../distill/crossEntropy.ts';
import type { DistillationOptions, Method } from '../distill/types.ts';
import { vjp } from './vjp.ts';

export interface LossWeights extends DistillationOptions {
  readonly ceWeight: number;
  /** Of this step, after burn-in and ramp-up. */
  readonly kdWeight: number;
}

/** What one batch gives: the gradient to send back through the network, and sums for the report. */
export interface BatchLoss {
  /** Gradient of the mean loss with respect to the logits, `[batch, classes]`. */
  readonly gradient: tf.Tensor2D;
  /** Sums over the batch, `[4]`: loss, cross-entropy, distillation, correct predictions. Stays on the device. */
  readonly sums: tf.Tensor1D;
}

/**
 * The loss of a batch, `ceWeight · CE + kdWeight · distillation`, mean over the samples, on logits alone: cheap on any
 * device, whatever the network.
 *
 * @param logits the student's, `[batch, classes]`
 * @param labels int32 `[batch]`
 * @param teacherLogits `[batch, classes]`, or `null` for a step on labels alone, which then has exactly the gradient
 *   of training without teachers
 * @returns tensors owned by the caller
 */
export function batchLoss(
  method: Method,
  logits: tf.Tensor2D,
  labels: tf.Tensor1D,
  teacherLogits: tf.Tensor2D | null,
  weights: LossWeights,
): BatchLoss {
  return tf.tidy(() => {
    const batch = logits.shape[0];
    const pass = vjp(() => {
      const ce = crossEntropy(logits, labels);
      const supervised = tf.mul(ce, weights.ceWeight);
      if (!teacherLogits || !method.loss || weights.kdWeight === 0) return [supervised, ce, tf.zerosLike(ce)];
      const distillation = method.loss(logits, teacherLogits, weights);
      return [tf.add(supervised, tf.mul(distillation, weights.kdWeight)), ce, distillation];
    }, [logits]);
    const [loss, ce, distillation] = pass.outputs;
    const correct = tf.cast(tf.equal(tf.argMax(logits, 1), labels), 'float32');
    const sums = tf.stack([loss!, ce!, distillation!, correct].map((term) => tf.sum(term))) as tf.Tensor1D;
    const [gradient] = pass.backward([tf.fill([batch], 1 / batch), null, null]);
    return { gradient: gradient as tf.Tensor2D, sums };
  });
}
