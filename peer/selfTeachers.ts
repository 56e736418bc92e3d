/** Teachers that a student finds in itself: nothing leaves this process, and nobody is waited for. */
import * as tf from '@tensorflow/tfjs';
import type { RunSettings } from '../src/config/schema.ts';
import { replaceRows } from '../src/distill/replaceRows.ts';
import { UsageError } from '../src/errors.ts';
import type { Model } from '../src/models/types.ts';
import { assignFrom } from './network.ts';
import type { Student } from './student.ts';
import {
  emaTeachers,
  logitsAlone,
  NO_STATE,
  noTeachers,
  type TeacherSource,
  type Teaching,
} from './teachers.ts';

const none: Teaching = { target: null, waitedMs: 0 };

const taughtBy = (logits: tf.Tensor2D): Teaching => ({ target: logitsAlone(logits), waitedMs: 0 });

/**
 * The generation before teaches: the same architecture, trained before, in evaluation mode.
 *
 * @param model with its weights; this takes it over
 */
export function generationTeachers(model: Model): TeacherSource {
  return {
    teach: async ({ images }) => taughtBy(tf.tidy(() => model.forward(images, false).logits)),
    updated: () => {},
    state: NO_STATE,
    dispose: () => model.dispose(),
  };
}

/** A logit so far above 0 that its softmax is 1 in float32, and all others are 0. */
const CERTAIN = 200;

/**
 * What the student said of a sample the last time teaches: one epoch ago, when every sample comes once in an epoch. The
 * predictions are those of training, from before the step's update; those of the burn-in are remembered too.
 *
 * A sample of which nothing was said yet has its label for a target, with which the authors of PS-KD begin.
 *
 * The memory is `[samples, classes]` in float32: 20 MB for 50,000 samples of 100 classes.
 *
 * @param labels of the training set
 */
export function previousEpochTeachers(labels: Uint16Array, classes: number): TeacherSource {
  const memory = tf.tidy(() => {
    const indices = tf.tensor1d(Int32Array.from(labels), 'int32');
    return tf.variable(tf.mul(tf.oneHot(indices, classes), CERTAIN), false);
  });
  return {
    teach: async ({ ids }) =>
      taughtBy(tf.tidy(() => tf.gather(memory as tf.Tensor2D, tf.tensor1d(Int32Array.from(ids), 'int32')))),
    remember: ({ ids, student }) => replaceRows(memory, ids, student.logits),
    updated: () => {},
    state: new Map([['memory', memory]]),
    dispose: () => memory.dispose(),
  };
}

/**
 * What the student said one step ago of the samples that are the first half of the batch now teaches:
 * `[batch / 2, classes]`. The predictions are those of training, from before that step's update.
 *
 * Nothing is taught when the step before was not seen: in the first step, and after steps that were left out.
 *
 * @param batchSize samples that are new in a step: the later rows of each batch, which come again in the next one
 */
export function previousBatchTeachers(batchSize: number, classes: number): TeacherSource {
  const logits = tf.tidy(() => tf.variable(tf.zeros([batchSize, classes]), false));
  /** `[1]`: the step that the logits are of. */
  const at = tf.tidy(() => tf.variable(tf.tensor1d([NEVER]), false));
  // Read from the device once, and then known.
  let before: number | null = null;
  return {
    async teach({ step }) {
      before ??= (await at.data())[0]!;
      return before === step - 1 ? taughtBy(tf.clone(logits as tf.Tensor2D)) : none;
    },
    remember({ step, student }) {
      before = step;
      tf.tidy(() => {
        logits.assign(tf.slice(student.logits, [student.logits.shape[0] - batchSize, 0]));
        at.assign(tf.tensor1d([step]));
      });
    },
    updated: () => {},
    state: new Map([
      ['logits', logits],
      ['step', at],
    ]),
    dispose: () => tf.dispose([logits, at]),
  };
}

/** A step that no other one follows. */
const NEVER = -2;

/**
 * The teacher that a student finds in itself, as its methods want it.
 *
 * @param generation path of the weights of the generation before
 * @returns `null` when its teachers are other peers
 * @throws {UsageError} when the generation before is missing, or not asked for
 */
export async function ownTeachers(
  student: Student,
  { data }: RunSettings,
  modelName: string,
  generation: string | undefined,
): Promise<TeacherSource | null> {
  const { teachers } = student.loss.objective;
  if (generation !== undefined && teachers !== 'generation') {
    throw new UsageError(
      '--weights: expected only of a teacher, or with a method that learns from a generation before.',
    );
  }
  const { dataset, model } = student;
  switch (teachers) {
    case 'none':
      return noTeachers;
    case 'peers':
      return null;
    case 'ema':
      return emaTeachers(student.ema!);
    case 'previous-epoch':
      return previousEpochTeachers(dataset.train.labels, model.classes);
    case 'previous-batch':
      return previousBatchTeachers(data.batchSize, model.classes);
    case 'generation': {
      if (generation === undefined) {
        throw new UsageError(
          'The method learns from a generation before: give its weights with --weights, or let codistill run train it.',
        );
      }
      const before = await student.another();
      await assignFrom(generation, { model: before }, modelName);
      return generationTeachers(before);
    }
  }
}
