import * as tf from '@tensorflow/tfjs';
import type { TrainedModules } from '../distill/encoders/types.ts';
import { createSgd } from './sgd.ts';
import { vjp } from './vjp.ts';

export interface EncoderTraining {
  readonly modules: TrainedModules;
  readonly learningRate: number;
  readonly steps: number;
  /** The layer's output for the batch of a step; freed after the step. */
  readonly layerAt: (step: number) => tf.Tensor;
  /** Lets others have their turn after each step; ends the training when it gives false. */
  readonly afterStep: () => Promise<boolean>;
}

/** Trains what a sender needs to encode a layer: by stochastic gradient descent with momentum 0.9, without labels. */
export async function trainEncoder(training: EncoderTraining): Promise<void> {
  const { modules, learningRate, steps, layerAt, afterStep } = training;
  const parameters = [...modules.parameters.values()];
  const sgd = createSgd(modules.parameters, { momentum: 0.9, nesterov: false, weightDecay: 5e-4 });
  try {
    for (let step = 0; step < steps; step++) {
      const layer = layerAt(step);
      const pass = vjp(() => [tf.mean(modules.loss(layer))], parameters);
      const one = tf.scalar(1);
      const gradients = pass.backward([one]);
      sgd.apply(gradients, learningRate, step);
      tf.dispose([layer, one, ...gradients.filter((gradient) => gradient !== null)]);
      if (!(await afterStep())) return;
    }
  } finally {
    sgd.dispose();
  }
}
