/** Teachers that a student finds in itself: nothing leaves this process, and nobody is waited for. */
import * as tf from '@tensorflow/tfjs';
import { UsageError } from '../src/errors.ts';
import type { Model } from '../src/models/types.ts';
import { assignFrom } from './network.ts';
import type { Student } from './student.ts';
import { emaTeachers, logitsAlone, noTeachers, type TeacherSource, type Teaching } from './teachers.ts';

/** A source that holds tensors. */
export interface OwnTeachers extends TeacherSource {
  dispose(): void;
}

const none: Teaching = { target: null, waitedMs: 0 };

const taughtBy = (logits: tf.Tensor2D): Teaching => ({ target: logitsAlone(logits), waitedMs: 0 });

/**
 * The generation before teaches: the same architecture, trained before, in evaluation mode.
 *
 * @param model with its weights; this takes it over
 */
export function generationTeachers(model: Model): OwnTeachers {
  return {
    teach: async ({ images }) => taughtBy(tf.tidy(() => model.forward(images, false).logits)),
    updated: () => {},
    dispose: () => model.dispose(),
  };
}

/** A logit so far above 0 that its softmax is 1 in float32, and all others are 0. */
const CERTAIN = 200;

/**
 * What the student said of a sample the last time teaches: one epoch ago, when every sample comes once in an epoch. The
 * predictions are those of training, from before the step's update.
 *
 * The memory is on the host, `[samples, classes]` in float32: 20 MB for 50,000 samples of 100 classes. Nothing is taught
 * while no sample of a batch is known, so not in the first epoch. Later, the target of a sample that is not known yet, for
 * it was in a last, partial batch, is its label, with which the authors of PS-KD begin.
 *
 * @param samples of the training set
 */
export function previousEpochTeachers(samples: number, classes: number): TeacherSource {
  const said = new Float32Array(samples * classes);
  const known = new Uint8Array(samples);
  const recall = (ids: Uint32Array, labels: Uint16Array): Float32Array | null => {
    if (!ids.some((id) => known[id])) return null;
    const target = new Float32Array(ids.length * classes);
    for (const [row, id] of ids.entries()) {
      if (known[id]) target.set(said.subarray(id * classes, (id + 1) * classes), row * classes);
      else target[row * classes + labels[row]!] = CERTAIN;
    }
    return target;
  };
  return {
    async teach({ ids, labels, student }) {
      const target = recall(ids, labels);
      const now = await student.logits.data();
      for (const [row, id] of ids.entries()) {
        said.set(now.subarray(row * classes, (row + 1) * classes), id * classes);
        known[id] = 1;
      }
      return target ? taughtBy(tf.tensor2d(target, [ids.length, classes])) : none;
    },
    updated: () => {},
  };
}

/**
 * What the student said one step ago of the samples that are the first half of the batch now teaches:
 * `[batch / 2, classes]`. The predictions are those of training, from before that step's update, and stay on the device.
 *
 * Nothing is taught when the batch before ended with other samples: in the first step, and after steps that were left out.
 */
export function previousBatchTeachers(): OwnTeachers {
  let before: { readonly ids: Uint32Array; readonly logits: tf.Tensor2D } | null = null;
  const recall = (ids: Uint32Array): tf.Tensor2D | null => {
    const half = ids.length / 2;
    if (!before || before.ids.length < half) return null;
    const { ids: idsBefore, logits } = before;
    const start = idsBefore.length - half;
    if (!idsBefore.subarray(start).every((id, row) => id === ids[row])) return null;
    return tf.slice(logits, [start, 0]);
  };
  return {
    async teach({ ids, student }) {
      const target = recall(ids);
      before?.logits.dispose();
      before = { ids: ids.slice(), logits: tf.keep(tf.clone(student.logits)) };
      return target ? taughtBy(target) : none;
    },
    updated: () => {},
    dispose() {
      before?.logits.dispose();
      before = null;
    },
  };
}

/**
 * The teacher that a student finds in itself, as its methods want it.
 *
 * @param generation path of the weights of the generation before
 * @returns `null` when its teachers are other peers
 * @throws {UsageError} when the generation before is missing, or not asked for
 */
export async function ownTeachers(
  student: Student,
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
      return previousEpochTeachers(dataset.train.count, model.classes);
    case 'previous-batch':
      return previousBatchTeachers();
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
