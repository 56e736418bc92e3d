import { setImmediate as eventLoopTurn } from 'node:timers/promises';
import * as tf from '@tensorflow/tfjs';
import type { RunSettings } from '../src/config/schema.ts';
import { viewKey } from '../src/datasets/augment.ts';
import { trainingBatcher } from '../src/datasets/batch.ts';
import { batchOf } from '../src/datasets/batchKinds.ts';
import { classIndex } from '../src/datasets/classPairs.ts';
import { stepsPerEpoch } from '../src/datasets/sampler.ts';
import type { Dataset } from '../src/datasets/types.ts';
import { distillationShareAt } from '../src/exchange/distillationWeight.ts';
import type { Model } from '../src/models/types.ts';
import { clipByGlobalNorm, type Optimizer } from '../src/training/optimizer.ts';
import { learningRateAt, weightDecayShareAt } from '../src/training/schedules.ts';
import type { StudentLoss } from '../src/training/studentLoss.ts';
import { type Vjp, vjp } from '../src/training/vjp.ts';
import type { TrainingLog } from './log.ts';
import type { TeacherSource, Teaching } from './teachers.ts';

export interface Training {
  readonly peer: string;
  readonly settings: RunSettings;
  readonly dataset: Dataset;
  readonly model: Model;
  readonly loss: StudentLoss;
  /** Of the model's parameters and those of the loss, in this order. */
  readonly optimizer: Optimizer;
  readonly teachers: TeacherSource;
  readonly log: TrainingLog;
  /** Called every `evaluateEvery` epochs and after the last step, with the number of steps done. */
  readonly evaluate: (step: number) => Promise<void>;
  /** Called after every other step, with the number of steps done: saves the student when it is time. */
  readonly keep: (step: number) => Promise<void>;
  /** Stops the training between two steps. */
  readonly signal: AbortSignal;
  /** Steps done before, by a training that this one goes on with. */
  readonly from: number;
}

/** Steps that a whole training takes. */
export function totalSteps({ data, training }: RunSettings, dataset: Dataset): number {
  return training.epochs * stepsPerEpoch(dataset.train.count, data.batchSize);
}

/**
 * Trains a student while its teachers learn too. This is all of co-distillation on the side of a peer:
 *
 *   1. Every peer draws the same batch, from nothing but the seed and the step.
 *   2. One forward pass gives the predictions. Its backward pass is kept for later.
 *   3. The predictions go out; a target, made of what the other peers predict for the same samples, comes back.
 *   4. The loss and its gradient need only the predictions, the labels and the target: `[batch, classes]` numbers.
 *   5. That gradient goes back through the network, and the weights are updated.
 *
 * Without a target (during the burn-in, after a missed deadline, while the network is away) a step uses the labels
 * alone: a student never stops training.
 *
 * @returns steps done when it ended, by itself or by the signal
 */
export async function train(run: Training): Promise<number> {
  const { settings, dataset, model, optimizer, loss, teachers, log } = run;
  const { seed, data, training, distill } = settings;
  const parameters = [...model.parameters.values()];
  const batcher = trainingBatcher(dataset, data.augment);
  const classes = loss.batch === 'class-pairs' ? classIndex(dataset.train.labels) : undefined;
  const epochSteps = stepsPerEpoch(dataset.train.count, data.batchSize);
  const steps = totalSteps(settings, dataset);
  const evaluationSteps = epochSteps * training.evaluateEvery;
  const schedule = { ...training, peak: training.optimizer.learningRate };

  const takeStep = async (step: number, hold: Hold): Promise<number> => {
    // 1. The batch.
    const view = viewKey(seed, step, data.view === 'own' ? run.peer : undefined);
    const address = { seed, step, batchSize: data.batchSize, count: dataset.train.count };
    const { ids, views } = batchOf(loss.batch, address, view, classes);
    const batch = batcher.gather(ids, views);
    const images = hold(tf.tensor4d(batch.images, [...batch.shape]));
    const labels = hold(tf.tensor1d(Int32Array.from(batch.labels), 'int32'));

    // 2. The forward pass.
    const pass = hold(vjp(() => loss.forward(images), parameters));
    const student = loss.outputs(pass.outputs);

    // 3. The exchange; none where nobody teaches, or the teachers know too little yet to be worth listening to.
    const share = distillationShareAt(step, steps, distill);
    const lesson = { step, ids, images, labels: batch.labels, student };
    const taught = share > 0 && loss.objective.teachers !== 'none';
    const teaching: Teaching = taught ? await teachers.teach(lesson) : { target: null, waitedMs: 0 };
    if (teaching.ended) return step;
    teachers.remember?.(lesson);
    const teacher = teaching.target;
    for (const one of teacher ? [teacher, ...(teacher.apart ?? [])] : []) {
      for (const tensor of [one.logits, ...Object.values(one.encodings)]) hold(tensor);
    }

    // 4. The loss.
    const epoch = step / epochSteps;
    const result = loss.of({ student, labels, teacher, ids, step, share, epoch, epochs: training.epochs });
    for (const gradient of [...result.outputs, ...result.modules]) hold(gradient);

    // 5. The backward pass and the update.
    const gradients = [...pass.backward(result.outputs).map(hold), ...result.modules];
    const clipped =
      training.clipNorm === null ? gradients : clipByGlobalNorm(gradients, training.clipNorm).map(hold);
    const learningRate = learningRateAt(step, steps, schedule);
    optimizer.apply(clipped, learningRate, step, weightDecayShareAt(step, steps, training));
    teachers.updated(step);

    const next = Math.min(steps, Math.max(step + 1, teaching.nextStep ?? 0));
    await log.step({
      step: next,
      steps,
      samples: ids.length,
      sums: result.sums,
      learningRate,
      distillationWeight: result.weight,
      waitedMs: teaching.waitedMs,
    });
    return next;
  };

  let step = run.from;
  while (step < steps && !run.signal.aborted) {
    const previous = step;
    step = await holding((hold) => takeStep(previous, hold));
    // Computing is synchronous on most backends: without this, sockets and timers would never get their turn.
    await eventLoopTurn();
    const evaluationDue = Math.floor(step / evaluationSteps) > Math.floor(previous / evaluationSteps);
    if (run.signal.aborted) break;
    await (evaluationDue || step === steps ? run.evaluate(step) : run.keep(step));
  }
  return step;
}

/** Remembers what is to be freed, and returns it. */
type Hold = <T extends tf.Tensor | Vjp | null>(thing: T) => T;

/** What `tf.tidy` is to work that waits: frees what it holds when it ends, also when teachers fail in the midst of it. */
async function holding<T>(work: (hold: Hold) => Promise<T>): Promise<T> {
  const held: (tf.Tensor | Vjp)[] = [];
  try {
    return await work((thing) => {
      if (thing) held.push(thing);
      return thing;
    });
  } finally {
    for (const thing of held) thing.dispose();
  }
}
