import { setImmediate as eventLoopTurn } from 'node:timers/promises';
import * as tf from '@tensorflow/tfjs';
import type { RunSettings } from '../src/config/schema.ts';
import { viewKey } from '../src/datasets/augment.ts';
import { trainingBatcher } from '../src/datasets/batch.ts';
import { batchIds } from '../src/datasets/sampler.ts';
import { layersOf } from '../src/distill/layers.ts';
import type { Outputs } from '../src/distill/types.ts';
import { distillationShareAt } from '../src/exchange/distillationWeight.ts';
import type { Model } from '../src/models/types.ts';
import { batchDigest } from '../src/protocol/batchDigest.ts';
import type { MessageOf, PeerMessage, Wants } from '../src/protocol/messages.ts';
import { type Contribution, contributionOf } from './contribution.ts';
import { createLogitBank } from './logitBank.ts';
import type { Network } from './network.ts';
import type { Session } from './session.ts';
import { totalSteps } from './train.ts';
import { trainEncoders } from './trainEncoders.ts';

/** Keeps the students from counting on a teacher that is busy. */
export const EVALUATING: MessageOf<PeerMessage, 'progress'> = {
  ...{ type: 'progress', phase: 'evaluating', step: 0, steps: 1, loss: 0, crossEntropy: 0, distillation: 0 },
  ...{ accuracy: 0, learningRate: 0, distillationWeight: 0, imagesPerSecond: 0, waitFraction: 0 },
};

export interface Teaching {
  readonly network: Network;
  readonly settings: RunSettings;
  /** What the students need. */
  readonly wants: Wants;
  readonly session: Session;
  readonly signal: AbortSignal;
}

/**
 * Tells the students of a run what a frozen network predicts for each of their batches, until they are done. It keeps
 * in step with them: a batch is answered by the coordinator when it is closed. What the network says about a sample
 * that is never augmented is computed once.
 */
export async function teach(teaching: Teaching): Promise<void> {
  const { network, settings, wants, session, signal } = teaching;
  const { dataset, model } = network;
  const { seed, data, distill, exchange } = settings;
  const batcher = trainingBatcher(dataset, data.augment);
  const steps = totalSteps(settings, dataset);
  const alike = data.augment === 'none' && wants.logits && wants.encodings.length === 0;
  const bank = alike ? createLogitBank(dataset.train.count, model.classes, exchange.codec) : null;

  const layers = [...new Set(wants.encodings.flatMap(({ layer }) => layersOf(layer)))];
  const trained = await trainEncoders(teaching, batcher, () => session.report(EVALUATING));
  const say = async (step: number, ids: Uint32Array): Promise<Contribution> => {
    const known = bank?.recall(ids);
    if (known) return known;
    const batch = batcher.gather(ids, viewKey(seed, step));
    const images = tf.tensor4d(batch.images, [...batch.shape]);
    const outputs = predict(model, images, layers);
    try {
      const contribution = await contributionOf(outputs, wants, exchange.codec, trained);
      bank?.remember(ids, contribution);
      return contribution;
    } finally {
      tf.dispose([images, outputs.logits, ...Object.values(outputs.features)]);
    }
  };

  let step = 0;
  while (step < steps && !signal.aborted && !session.isOver()) {
    if (distillationShareAt(step, steps, distill) === 0) {
      step += 1;
      continue;
    }
    await session.online();
    const ids = batchIds({ seed, step, batchSize: data.batchSize, count: dataset.train.count });
    const contribution = await say(step, ids);
    const request = { round: step, step, batch: batchDigest(ids), view: data.view, ...contribution };
    const answer = await session.exchange(request, [data.batchSize, model.classes]);
    await eventLoopTurn();
    if (answer.kind === 'none' && answer.reason === 'disconnected') continue;
    step = Math.max(step + 1, (answer.kind === 'none' && answer.nextRound) || 0);
  }
  for (const { parameters, buffers } of trained.values())
    tf.dispose([...parameters.values(), ...buffers.values()]);
}

/** The outputs of a frozen network, owned by the caller. */
function predict(model: Model, images: tf.Tensor4D, layers: readonly string[]): Outputs {
  const [logits, ...features] = tf.tidy(() => {
    const pass = model.forward(images, false);
    return [pass.logits, ...layers.map((layer) => pass.features[layer]!)];
  });
  return {
    logits: logits as tf.Tensor2D,
    features: Object.fromEntries(layers.map((layer, i) => [layer, features[i]!])),
  };
}
