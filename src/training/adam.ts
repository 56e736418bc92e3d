import * as tf from '@tensorflow/tfjs';
import { type DecayOptions, decays, type Optimizer, zeroSlots } from './optimizer.ts';

export interface AdamOptions extends DecayOptions {
  /** Shares of the moments of the gradient that are kept at a step: of its mean, and of its squares. */
  readonly beta1: number;
  readonly beta2: number;
  /** Added to the root of the second moment. */
  readonly epsilon: number;
  /** Whether weight decay goes past the moments: AdamW; else it is part of the gradient. */
  readonly decoupled: boolean;
}

/**
 * Adam, as in torch.optim.Adam: `g += weightDecay · w;  m = β₁ m + (1 - β₁) g;  v = β₂ v + (1 - β₂) g²;
 * w -= learningRate · m̂ / (√v̂ + ε)`, with `m̂ = m / (1 - β₁ᵗ)` and `v̂ = v / (1 - β₂ᵗ)` at the t-th step
 * (Kingma & Ba 2015, arXiv 1412.6980, algorithm 1).
 *
 * Decoupled, as in torch.optim.AdamW, weight decay is no part of the gradient: `w *= 1 - learningRate · weightDecay` comes
 * before the update (Loshchilov & Hutter 2019, arXiv 1711.05101, algorithm 2).
 *
 * What is kept are the sums `m / (1 - β₁)` and `v / (1 - β₂)`, whose factors go into those of the whole step: two
 * multiplications less for each parameter. `t` counts all steps, also those in which a parameter had no gradient.
 *
 * @param parameters by name, in a fixed order
 */
export function createAdam(parameters: ReadonlyMap<string, tf.Variable>, options: AdamOptions): Optimizer {
  const { beta1, beta2, epsilon, weightDecay, decoupled } = options;
  const names = [...parameters.keys()];
  const slots = new Map([...zeroSlots(parameters, 'gradients'), ...zeroSlots(parameters, 'squares')]);
  return {
    slots,
    apply(gradients, learningRate, step, decayShare = 1) {
      tf.tidy(() => {
        const t = step + 1;
        const decay = weightDecay * decayShare;
        const scale = Math.sqrt((1 - beta2) / (1 - beta2 ** t));
        // One scalar for all parameters is one upload to the device.
        const rate = tf.scalar((learningRate * (1 - beta1)) / (1 - beta1 ** t) / scale);
        const floor = tf.scalar(epsilon / scale);
        const [keep1, keep2] = [tf.scalar(beta1), tf.scalar(beta2)];
        const [penalty, rest] = [tf.scalar(decay), tf.scalar(1 - learningRate * decay)];
        for (const [i, name] of names.entries()) {
          const gradient = gradients[i];
          if (!gradient) continue;
          const parameter = parameters.get(name)!;
          const decaying = decay > 0 && decays(parameter, options);
          const slope = decaying && !decoupled ? tf.add(gradient, tf.mul(parameter, penalty)) : gradient;
          const [first, second] = [slots.get(`${name}.gradients`)!, slots.get(`${name}.squares`)!];
          first.assign(tf.add(tf.mul(first, keep1), slope));
          second.assign(tf.add(tf.mul(second, keep2), tf.square(slope)));
          const update = tf.div(tf.mul(first, rate), tf.add(tf.sqrt(second), floor));
          const from = decaying && decoupled ? tf.mul(parameter, rest) : parameter;
          parameter.assign(tf.sub(from, update));
        }
      });
    },
    dispose: () => tf.dispose([...slots.values()]),
  };
}
