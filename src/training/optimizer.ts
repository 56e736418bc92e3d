import * as tf from '@tensorflow/tfjs';

export interface Optimizer {
  /**
   * Updates the parameters in place.
   *
   * @param gradients in the order of the parameters; `null` leaves that parameter as it is. Not disposed.
   * @param learningRate of this step
   * @param step steps before this one, from which Adam corrects its moments: what goes on from a checkpoint has to go on
   *   counting, too
   * @param decayShare share of the weight decay that counts at this step; 1 when absent
   */
  apply(
    gradients: readonly (tf.Tensor | null)[],
    learningRate: number,
    step: number,
    decayShare?: number,
  ): void;
  /** What a checkpoint has to hold besides the parameters, by name, in a fixed order. */
  readonly slots: ReadonlyMap<string, tf.Variable>;
  dispose(): void;
}

/** What all optimisers have in common. */
export interface DecayOptions {
  /** Pulls weights towards 0: how, the optimiser says. */
  readonly weightDecay: number;
  /**
   * Whether that is done to parameters of rank 1 and below, too (default: yes). By convention these are the biases and
   * the scales and shifts of normalisation, and all kernels have a higher rank.
   */
  readonly decayNormAndBias?: boolean;
}

/** Whether weight decay is done to a parameter. */
export function decays(
  parameter: tf.Tensor,
  { weightDecay, decayNormAndBias = true }: DecayOptions,
): boolean {
  return weightDecay > 0 && (decayNormAndBias || parameter.rank > 1);
}

/** A slot of zeros for every parameter. */
export function zeroSlots(
  parameters: ReadonlyMap<string, tf.Variable>,
  slot: string,
): Map<string, tf.Variable> {
  return tf.tidy(() => {
    const zeros = (parameter: tf.Variable) => tf.variable(tf.zerosLike(parameter));
    return new Map(
      [...parameters].map(([name, parameter]) => [`${name}.${slot}`, zeros(parameter)]),
    ) as never;
  });
}

/**
 * Scales gradients so that their joint L2 norm is at most `maxNorm` (Pascanu et al. 2013, arXiv 1211.5063), on the
 * device: the norm is never read.
 *
 * @returns new tensors, owned by the caller; `null` stays `null`
 */
export function clipByGlobalNorm(
  gradients: readonly (tf.Tensor | null)[],
  maxNorm: number,
): (tf.Tensor | null)[] {
  const present = gradients.filter((gradient) => gradient !== null);
  if (present.length === 0) return [...gradients];
  const scaled = tf.tidy(() => {
    const norm = tf.sqrt(tf.addN(present.map((gradient) => tf.sum(tf.square(gradient)))));
    const scale = tf.minimum(1, tf.div(maxNorm, tf.maximum(norm, 1e-12)));
    return present.map((gradient) => tf.mul(gradient, scale));
  });
  let next = 0;
  return gradients.map((gradient) => gradient && scaled[next++]!);
}
