import { setImmediate as eventLoopTurn } from 'node:timers/promises';
import * as tf from '@tensorflow/tfjs';
import { viewKey } from '../src/datasets/augment.ts';
import type { Batcher } from '../src/datasets/batch.ts';
import { batchIds, stepsPerEpoch } from '../src/datasets/sampler.ts';
import { getEncoder } from '../src/distill/encoders/index.ts';
import { encodingKey } from '../src/distill/objective.ts';
import { deriveKey } from '../src/random.ts';
import { trainEncoder } from '../src/training/trainEncoder.ts';
import type { Trained } from './contribution.ts';
import type { Teaching } from './teacher.ts';

/**
 * Trains what a teacher's encodings need, on its own layers and without labels, before anybody learns from it.
 *
 * @param afterStep lets others have their turn, and tells them that this one is busy
 */
export async function trainEncoders(
  { network, settings, wants, signal }: Teaching,
  batcher: Batcher,
  afterStep: () => void,
): Promise<Trained> {
  const { dataset, model, layers, seed } = network;
  const { batchSize } = settings.data;
  const { count } = dataset.train;
  const trained = new Map<
    string,
    ReturnType<NonNullable<ReturnType<typeof getEncoder>['trainable']>['modules']>
  >();
  for (const need of wants.encodings) {
    const { trainable } = getEncoder(need.encoder);
    if (!trainable) continue;
    const key = deriveKey(seed, 'encoder', encodingKey(need));
    const modules = trainable.modules(layers[need.layer]!, key);
    trained.set(encodingKey(need), modules);
    await trainEncoder({
      modules,
      learningRate: trainable.learningRate,
      steps: trainable.epochs * stepsPerEpoch(count, batchSize),
      layerAt: (step) => {
        const batch = batcher.gather(batchIds({ seed: key, step, batchSize, count }), viewKey(key, step));
        return tf.tidy(() => {
          const images = tf.tensor4d(batch.images, [...batch.shape]);
          return model.forward(images, false).features[need.layer]!;
        });
      },
      afterStep: async () => {
        afterStep();
        await eventLoopTurn();
        return !signal.aborted;
      },
    });
  }
  return trained;
}
