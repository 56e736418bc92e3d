import * as tf from '@tensorflow/tfjs';
import { backends } from '../backend/registry.ts';
import { tryToLoad } from '../backend/select.ts';
import type { BackendName } from '../backend/types.ts';
import { crossEntropy } from '../distill/crossEntropy.ts';
import { findModel } from '../findModel.ts';
import type { ModelFactory } from '../models/types.ts';
import { createSgd } from '../training/sgd.ts';
import { vjp } from '../training/vjp.ts';

export interface BackendReport {
  readonly name: BackendName;
  readonly automatic: boolean;
  readonly usesGpu: boolean;
  readonly works: boolean;
  /** The device, or the reason why it cannot be used. */
  readonly detail: string;
  /** What to do about the reason, in one line; null when there is nothing to do. */
  readonly remedy: string | null;
  /** Training images a second on the model; null when it does not work. */
  readonly imagesPerSecond: number | null;
}

const BATCH = 32;
const INPUT_SHAPE = [28, 28, 1] as const;
const CLASSES = 10;
const TIMED_MS = 2_000;

/**
 * Loads every backend, best first, and trains on it for two seconds.
 *
 * @param gpu the card of the backends that use one
 * @param onTry told about each before it is tried
 */
export async function inspectBackends(
  model: string,
  gpu: string | undefined,
  onTry: (name: string) => void,
): Promise<BackendReport[]> {
  const reports: BackendReport[] = [];
  for (const { name, usesGpu } of Object.values(backends)) {
    onTry(name);
    reports.push(await inspectBackend(name, model, usesGpu ? gpu : undefined));
  }
  return reports;
}

/** Loads a backend, and trains `model` on it for two seconds. @throws {UsageError} for an unknown model */
export async function inspectBackend(name: BackendName, model: string, gpu?: string): Promise<BackendReport> {
  const factory = await findModel(model);
  const { automatic, usesGpu } = backends[name];
  const loaded = await tryToLoad(backends[name], gpu);
  const works = 'device' in loaded;
  return {
    ...{ name, automatic, usesGpu, works },
    detail: works ? loaded.device : loaded.reason,
    remedy: works ? null : loaded.remedy,
    imagesPerSecond: works ? await timeTraining(factory) : null,
  };
}

/** Images a second of training steps on random images; the first step, which compiles kernels, does not count if there are more. */
async function timeTraining(factory: ModelFactory): Promise<number> {
  const model = factory({ inputShape: INPUT_SHAPE, classes: CLASSES, seed: 0 });
  const sgd = createSgd(model.parameters, { momentum: 0.9, nesterov: false, weightDecay: 0 });
  const images = tf.randomNormal<tf.Rank.R4>([BATCH, ...INPUT_SHAPE], 0, 1, 'float32', 1);
  const labels = tf.tidy(() => tf.cast(tf.mod(tf.range(0, BATCH), CLASSES), 'int32')) as tf.Tensor1D;
  const step = async (): Promise<void> => {
    const pass = vjp(
      () => [crossEntropy(model.forward(images, true).logits, labels)],
      [...model.parameters.values()],
    );
    const gradients = pass.backward([tf.ones([BATCH])]);
    sgd.apply(gradients, 0.001, 0);
    tf.dispose(gradients.filter((gradient) => gradient !== null));
    // Only a read tells that the device has finished.
    await [...model.parameters.values()].at(-1)!.data();
  };
  const timed = async (): Promise<number> => {
    const startedAt = performance.now();
    await step();
    return performance.now() - startedAt;
  };
  const first = await timed();
  let steps = 0;
  let milliseconds = 0;
  while (first < TIMED_MS && milliseconds < TIMED_MS) {
    milliseconds += await timed();
    steps += 1;
  }
  tf.dispose([images, labels]);
  sgd.dispose();
  model.dispose();
  return (BATCH * Math.max(1, steps) * 1000) / (milliseconds || first);
}
