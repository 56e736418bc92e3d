import * as tf from '@tensorflow/tfjs';
import { constant } from './initialisers.ts';
import type { MapLayer } from './layers.ts';
import type { Weights } from './weights.ts';

/** Added to the variance, as in PyTorch. */
const epsilon = 1e-5;
/** Share of the newest batch in the running statistics, as in PyTorch. */
const momentum = 0.1;

/**
 * Batch normalisation over all axes but the last (Ioffe and Szegedy, 2015): `name.weight`, `name.bias`,
 * `name.running_mean` and `name.running_var`, each `[channels]`.
 */
export function batchNorm(weights: Weights, name: string, channels: number): MapLayer {
  const gamma = weights.parameter(`${name}.weight`, [channels], constant(1)) as tf.Variable<tf.Rank.R1>;
  const beta = weights.parameter(`${name}.bias`, [channels], constant(0)) as tf.Variable<tf.Rank.R1>;
  const running: RunningStatistics = {
    mean: weights.buffer(`${name}.running_mean`, [channels], constant(0)) as tf.Variable<tf.Rank.R1>,
    variance: weights.buffer(`${name}.running_var`, [channels], constant(1)) as tf.Variable<tf.Rank.R1>,
  };
  return (maps, training) =>
    training
      ? normaliseByBatch(maps, gamma, beta, running)
      : tf.batchNorm4d(maps, running.mean, running.variance, beta, gamma, epsilon);
}

export interface RunningStatistics {
  readonly mean: tf.Variable<tf.Rank.R1>;
  readonly variance: tf.Variable<tf.Rank.R1>;
}

/**
 * Kernels of one forward and one backward pass, for backends that have them; the others compose it.
 *
 *     forward:   { x, gamma, beta }, { epsilon } -> y, mean, unbiased variance, and what the backward pass wants back
 *     backward:  { dy, x, gamma, saved0, saved1, ... }, { epsilon } -> dx, dgamma, dbeta
 */
export const BATCH_NORM = { forward: 'BatchNormTraining', backward: 'BatchNormTrainingGrad' } as const;

/**
 * `gamma · (x - mean) / sqrt(variance + epsilon) + beta` with the statistics of `x` itself, which also move the
 * running ones. Tape and scope see one operation; one array of the size of `x` is kept for the way back.
 *
 * @param x `[..., channels]`
 */
export function normaliseByBatch(
  x: tf.Tensor4D,
  gamma: tf.Tensor1D,
  beta: tf.Tensor1D,
  running: RunningStatistics,
): tf.Tensor4D {
  const fused = Boolean(tf.getKernel(BATCH_NORM.forward, tf.getBackend()));
  return tf.customGrad((...inputs) => {
    const [x, gamma, beta, save] = inputs as [tf.Tensor4D, tf.Tensor1D, tf.Tensor1D, tf.GradSaveFunc];
    return (fused ? runKernels : compose)(x, gamma, beta, running, save);
  })(x, gamma, beta) as tf.Tensor4D;
}

type Pass = (
  x: tf.Tensor4D,
  gamma: tf.Tensor1D,
  beta: tf.Tensor1D,
  running: RunningStatistics,
  save: tf.GradSaveFunc,
) => { value: tf.Tensor; gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => tf.Tensor[] };

const runKernels: Pass = (x, gamma, beta, running, save) => {
  const run = (name: string, inputs: Record<string, tf.Tensor>) =>
    tf.engine().runKernel(name, inputs, { epsilon }) as tf.Tensor[];
  const [value, mean, variance, ...kept] = run(BATCH_NORM.forward, { x, gamma, beta });
  move(running.mean, mean as tf.Tensor1D, 1);
  move(running.variance, variance as tf.Tensor1D, 1);
  save([x, gamma, ...kept]);
  const gradFunc = (dy: tf.Tensor, [x, gamma, ...kept]: tf.Tensor[]): tf.Tensor[] => {
    const named = Object.fromEntries(kept.map((tensor, i) => [`saved${i}`, tensor]));
    return run(BATCH_NORM.backward, { dy, x: x!, gamma: gamma!, ...named });
  };
  return { value: value!, gradFunc };
};

/**
 * The backward pass is in closed form: with `n` values per channel and `xhat` the normalised `x`,
 *
 *     dx = gamma / sqrt(variance + epsilon) · (dy - sum(dy) / n - xhat · sum(dy · xhat) / n)
 *     dgamma = sum(dy · xhat),  dbeta = sum(dy)
 */
const compose: Pass = (x, gamma, beta, running, save) => {
  const channels = x.shape[3];
  const n = x.size / channels;
  const rows = tf.reshape(x, [n, channels]);
  const mean = tf.mul(tf.sum(rows, 0), 1 / n) as tf.Tensor1D;
  const centred = tf.sub(rows, mean);
  const variance = tf.mul(tf.sum(tf.square(centred), 0), 1 / n) as tf.Tensor1D;
  const inverse = tf.rsqrt(tf.add(variance, epsilon));
  const scale = tf.mul(gamma, inverse);
  move(running.mean, mean, 1);
  move(running.variance, variance, n / Math.max(1, n - 1));
  save([centred, inverse, scale]);
  const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]): tf.Tensor[] => {
    const [centred, inverse, scale] = saved as [tf.Tensor2D, tf.Tensor1D, tf.Tensor1D];
    const rows = tf.reshape(dy, [n, channels]);
    const dBeta = tf.sum(rows, 0);
    const dGamma = tf.mul(tf.sum(tf.mul(rows, centred), 0), inverse);
    const slope = tf.mul(tf.mul(inverse, dGamma), 1 / n);
    const shared = tf.add(tf.mul(centred, slope), tf.mul(dBeta, 1 / n));
    const dx = tf.mul(tf.sub(rows, shared), scale);
    return [tf.reshape(dx, dy.shape), dGamma, dBeta];
  };
  return { value: tf.reshape(tf.add(tf.mul(centred, scale), beta), x.shape), gradFunc };
};

/**
 * Moves a running statistic towards `correction · latest`. The correction makes a batch's variance the unbiased
 * estimate of the population's.
 */
function move(running: tf.Variable<tf.Rank.R1>, latest: tf.Tensor1D, correction: number): void {
  running.assign(tf.add(tf.mul(running, 1 - momentum), tf.mul(latest, momentum * correction)));
}
