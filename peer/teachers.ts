import * as tf from '@tensorflow/tfjs';
import { batchDigest } from '../src/protocol/batchDigest.ts';
import type { EmaTeacher } from '../src/training/emaTeacher.ts';
import type { Session } from './session.ts';

/** What a student knows about its batch when it asks for a target. */
export interface Lesson {
  readonly step: number;
  readonly ids: Uint32Array;
  readonly images: tf.Tensor4D;
  /** The student's own predictions, `[batch, classes]`. */
  readonly logits: tf.Tensor2D;
}

/** What the teachers say about a batch. */
export interface Teaching {
  /** Teacher logits, `[batch, classes]`, owned by the caller; `null`: this step uses the labels alone. */
  readonly target: tf.Tensor2D | null;
  /** Time spent waiting for others, in milliseconds. */
  readonly waitedMs: number;
  /** The step to go on with, when this student fell behind the others. */
  readonly nextStep?: number;
}

/** Where a student's targets come from. */
export interface TeacherSource {
  teach(lesson: Lesson): Promise<Teaching>;
  /** Called after each update of the student's weights. */
  updated(step: number): void;
}

/** Nobody teaches. */
export const noTeachers: TeacherSource = {
  teach: async () => ({ target: null, waitedMs: 0 }),
  updated: () => {},
};

/** The moving average of the student's own weights teaches; nothing leaves this process. */
export function emaTeachers(teacher: EmaTeacher): TeacherSource {
  return {
    teach: async ({ images }) => ({ target: teacher.predict(images), waitedMs: 0 }),
    updated: (step) => teacher.update(step),
  };
}

/** The other peers teach: predictions go to the coordinator, what the others predicted comes back. */
export function peerTeachers(
  session: Session,
  options: { readonly view: 'shared' | 'own'; readonly codec: 'float16' | 'float32' },
  encode: (logits: Float32Array, rows: number, classes: number) => Uint8Array<ArrayBuffer>,
): TeacherSource {
  return {
    async teach({ step, ids, logits }) {
      const [rows, classes] = logits.shape;
      const data = encode(await logits.data<'float32'>(), rows, classes);
      const sentAt = performance.now();
      const answer = await session.exchange({
        round: step,
        step,
        batch: batchDigest(ids),
        view: options.view,
        codec: options.codec,
        shape: [rows, classes],
        data,
      });
      const waitedMs = performance.now() - sentAt;
      if (answer.kind === 'target') {
        return { target: tf.tensor2d(answer.logits, [rows, classes]), waitedMs };
      }
      const nextStep = answer.nextRound;
      return { target: null, waitedMs, ...(nextStep !== undefined && { nextStep }) };
    },
    updated: () => {},
  };
}
