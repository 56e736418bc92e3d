import * as tf from '@tensorflow/tfjs';
import { type DecayOptions, decays, type Optimizer, zeroSlots } from './optimizer.ts';

export interface SgdOptions extends DecayOptions {
  /** Share of the previous update that is kept, 0 (plain gradient descent) to below 1. */
  readonly momentum: number;
  /** Evaluate the gradient's update ahead of the velocity (Nesterov), in the form of Sutskever et al. 2013. */
  readonly nesterov: boolean;
  /** Whether weight decay goes past the momentum (default: no, it is part of the gradient). */
  readonly decoupled?: boolean;
}

/**
 * Stochastic gradient descent with momentum, as in torch.optim.SGD:
 * `g += weightDecay · w;  v = momentum · v + g;  w -= learningRate · (nesterov ? g + momentum · v : v)`.
 *
 * Decoupled, weight decay is no part of the gradient: `w *= 1 - learningRate · weightDecay` comes before the update
 * (SGDW of Loshchilov & Hutter 2019, arXiv 1711.05101, with the factor of the learning rate that torch.optim.AdamW has).
 *
 * @param parameters by name, in a fixed order
 */
export function createSgd(parameters: ReadonlyMap<string, tf.Variable>, options: SgdOptions): Optimizer {
  const { momentum, nesterov, weightDecay, decoupled = false } = options;
  const names = [...parameters.keys()];
  const slots = momentum > 0 ? zeroSlots(parameters, 'velocity') : new Map<string, tf.Variable>();
  return {
    slots,
    apply(gradients, learningRate, _step, decayShare = 1) {
      tf.tidy(() => {
        const decay = weightDecay * decayShare;
        // One scalar for all parameters is one upload to the device.
        const [rate, keep] = [tf.scalar(learningRate), tf.scalar(momentum)];
        const [penalty, rest] = [tf.scalar(decay), tf.scalar(1 - learningRate * decay)];
        for (const [i, name] of names.entries()) {
          const gradient = gradients[i];
          if (!gradient) continue;
          const parameter = parameters.get(name)!;
          const decaying = decay > 0 && decays(parameter, options);
          const slope = decaying && !decoupled ? [gradient, tf.mul(parameter, penalty)] : [gradient];
          let update = slope;
          const velocity = slots.get(`${name}.velocity`);
          if (velocity) {
            velocity.assign(tf.addN([...slope, tf.mul(velocity, keep)]));
            update = nesterov ? [...slope, tf.mul(velocity, keep)] : [velocity];
          }
          const from = decaying && decoupled ? tf.mul(parameter, rest) : parameter;
          parameter.assign(tf.sub(from, tf.mul(sum(update), rate)));
        }
      });
    },
    dispose: () => tf.dispose([...slots.values()]),
  };
}

function sum(terms: readonly tf.Tensor[]): tf.Tensor {
  return terms.length === 1 ? terms[0]! : tf.addN([...terms]);
}
