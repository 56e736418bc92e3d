import * as tf from '@tensorflow/tfjs';

export interface SgdOptions {
  /** Share of the previous update that is kept, 0 (plain gradient descent) to below 1. */
  readonly momentum: number;
  /** Evaluate the gradient's update ahead of the velocity (Nesterov), in the form of Sutskever et al. 2013. */
  readonly nesterov: boolean;
  /** L2 penalty: `weightDecay · w` is added to the gradient of each parameter. */
  readonly weightDecay: number;
}

export interface Optimizer {
  /**
   * Updates the parameters in place.
   *
   * @param gradients in the order of the parameters; `null` leaves that parameter as it is. Not disposed.
   * @param learningRate of this step
   */
  apply(gradients: readonly (tf.Tensor | null)[], learningRate: number): void;
  /** What a checkpoint has to hold besides the parameters, by name, in a fixed order. */
  readonly slots: ReadonlyMap<string, tf.Variable>;
  dispose(): void;
}

/**
 * Stochastic gradient descent with momentum and coupled weight decay, as in torch.optim.SGD:
 * `g += weightDecay · w;  v = momentum · v + g;  w -= learningRate · (nesterov ? g + momentum · v : v)`.
 *
 * @param parameters by name, in a fixed order
 */
export function createSgd(parameters: ReadonlyMap<string, tf.Variable>, options: SgdOptions): Optimizer {
  const { momentum, nesterov, weightDecay } = options;
  const names = [...parameters.keys()];
  const slots = new Map<string, tf.Variable>();
  if (momentum > 0) {
    for (const [name, parameter] of parameters) {
      const velocity = tf.tidy(() => tf.variable(tf.zerosLike(parameter)));
      slots.set(`${name}.velocity`, velocity);
    }
  }
  return {
    slots,
    apply(gradients, learningRate) {
      tf.tidy(() => {
        for (const [i, name] of names.entries()) {
          const gradient = gradients[i];
          if (!gradient) continue;
          const parameter = parameters.get(name)!;
          const penalised = weightDecay > 0 ? tf.add(gradient, tf.mul(parameter, weightDecay)) : gradient;
          let update = penalised;
          const velocity = slots.get(`${name}.velocity`);
          if (velocity) {
            velocity.assign(tf.add(tf.mul(velocity, momentum), penalised));
            update = nesterov ? tf.add(penalised, tf.mul(velocity, momentum)) : velocity;
          }
          parameter.assign(tf.sub(parameter, tf.mul(update, learningRate)));
        }
      });
    },
    dispose() {
      for (const slot of slots.values()) slot.dispose();
    },
  };
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
