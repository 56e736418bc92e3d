/**
 * One training step as a peer takes it (`peer/train.ts`), without the exchange: what `trainingStep.ts` times, in a
 * process of its own for each backend. See `training_step.py` for the requests that it answers.
 *
 *     node dist/test/bench/trainingStepWorker.js BACKEND
 */
import { readFile } from 'node:fs/promises';
import * as tf from '@tensorflow/tfjs';
import { loadBackend } from '../../src/backend/select.ts';
import { objectiveFrom } from '../../src/distill/fromSettings.ts';
import { NO_MODULES } from '../../src/distill/types.ts';
import { createModel } from '../../src/models/index.ts';
import { batchLoss } from '../../src/training/loss.ts';
import { assignWeights } from '../../src/training/modelWeights.ts';
import { decodeSafetensors } from '../../src/training/safetensors.ts';
import { createSgd } from '../../src/training/sgd.ts';
import { vjp } from '../../src/training/vjp.ts';
import { serve } from './worker.ts';

export interface LoadRequest {
  readonly model: string;
  /** A safetensors file with the model's weights, `images` and `labels`. */
  readonly load: string;
}

export interface StepsRequest {
  readonly model: string;
  readonly steps: number;
}

export interface LoadAnswer {
  readonly device: string;
  /** Number of trained numbers. */
  readonly parameters: number;
}

export interface StepsAnswer {
  readonly milliseconds: readonly number[];
  /** Mean over the batch, before the update of the step. */
  readonly losses: readonly number[];
  /** Of the first step, `[batch, classes]`. */
  readonly logits: readonly number[];
}

const LEARNING_RATE = 0.01;
const OBJECTIVE = objectiveFrom({ method: 'independent', options: {}, standardise: false, burnInSteps: 0 });
/** What no term of this objective looks at. */
const NOBODY = { teacher: null, ids: new Uint32Array(), step: 0, share: 0, epoch: 0, epochs: 1 } as const;

interface Step {
  readonly ms: number;
  readonly loss: number;
  readonly logits: readonly number[];
}

/** @param file see {@link LoadRequest} */
async function createTraining(name: string, file: string) {
  const { tensors } = decodeSafetensors(await readFile(file));
  const pixels = tensors.get('images')!;
  const classNumbers = tensors.get('labels')!;
  for (const key of ['images', 'labels']) tensors.delete(key);
  const classes = Math.max(...classNumbers.values) + 1;
  const shape = pixels.shape as [number, number, number, number];
  const [batch, ...imageShape] = shape;
  const model = createModel(name, { inputShape: imageShape, classes, seed: 0 });
  assignWeights(model, tensors);
  const variables = [...model.parameters.values()];
  const optimizer = createSgd(model.parameters, { momentum: 0.9, nesterov: true, weightDecay: 5e-4 });

  /** The batch is made anew in every step, as peers do, and the logits are read, which they send to each other. */
  const step = async (): Promise<Step> => {
    const startedAt = performance.now();
    const images = tf.tensor4d(pixels.values, shape);
    const labels = tf.tensor1d(classNumbers.values, 'int32');
    const pass = vjp(() => [model.forward(images, true).logits], variables);
    const logits = pass.outputs[0] as tf.Tensor2D;
    const predictions = await logits.data();
    const student = { logits, features: {} };
    const loss = batchLoss(OBJECTIVE, [NO_MODULES], { ...NOBODY, student, labels });
    const gradients = pass.backward(loss.outputs);
    optimizer.apply(gradients, LEARNING_RATE, 0);
    const [sum] = await loss.sums.data();
    const made = [images, labels, loss.sums, ...loss.outputs, ...gradients];
    tf.dispose(made.filter((tensor) => tensor !== null));
    const ms = performance.now() - startedAt;
    return { ms, loss: sum! / batch, logits: [...predictions] };
  };
  return { parameters: variables.reduce((sum, { size }) => sum + size, 0), step };
}

const { device } = await loadBackend(process.argv[2]!);
const trainings = new Map<string, Awaited<ReturnType<typeof createTraining>>>();

await serve(async (request) => {
  const { model, load, steps } = request as LoadRequest & StepsRequest;
  if (load !== undefined) {
    const training = await createTraining(model, load);
    trainings.set(model, training);
    return { device, parameters: training.parameters } satisfies LoadAnswer;
  }
  const taken: Step[] = [];
  for (let i = 0; i < steps; i++) taken.push(await trainings.get(model)!.step());
  return {
    milliseconds: taken.map(({ ms }) => ms),
    losses: taken.map(({ loss }) => loss),
    logits: taken[0]!.logits,
  } satisfies StepsAnswer;
});
