import * as tf from '@tensorflow/tfjs';
import { encodingKey } from '../src/distill/objective.ts';
import type { Outputs, TeacherOutputs } from '../src/distill/types.ts';
import { batchDigest } from '../src/protocol/batchDigest.ts';
import { encodeLabels } from '../src/protocol/classLabels.ts';
import type { Wants } from '../src/protocol/messages.ts';
import type { EmaTeacher } from '../src/training/emaTeacher.ts';
import type { Answer, Received } from './answer.ts';
import { contributionOf } from './contribution.ts';
import type { Session } from './session.ts';

/** What a student knows about its batch when it asks for a target. */
export interface Lesson {
  readonly step: number;
  readonly ids: Uint32Array;
  readonly images: tf.Tensor4D;
  /** True classes, `[batch]`. */
  readonly labels: Uint16Array;
  /** The student's own outputs. */
  readonly student: Outputs;
}

/** What the teachers say about a batch. */
export interface Teaching {
  /** Owned by the caller; `null`: this step uses the labels alone. */
  readonly target: TeacherOutputs | null;
  /** Time spent waiting for others, in milliseconds. */
  readonly waitedMs: number;
  /** The step to go on with, when this student fell behind the others. */
  readonly nextStep?: number;
  /** The training is to end before this step. */
  readonly ended?: true | undefined;
}

/** Where a student's targets come from. */
export interface TeacherSource {
  teach(lesson: Lesson): Promise<Teaching>;
  /**
   * Called at every step, after `teach` where that was asked and where it was not: what the student said before the update
   * can be remembered for later.
   */
  remember?(lesson: Lesson): void;
  /** Called after each update of the student's weights. */
  updated(step: number): void;
  /**
   * What is remembered from one step to the next, by name: a checkpoint saves it, and restoring assigns it before the first
   * step. Empty where nothing is remembered, or only what is saved elsewhere.
   */
  readonly state: ReadonlyMap<string, tf.Variable>;
  /** Frees what it holds on the device: networks and predictions of its own, nothing of the student's. */
  dispose(): void;
}

export const NO_STATE: TeacherSource['state'] = new Map();

export function logitsAlone(logits: tf.Tensor2D): TeacherOutputs {
  return { logits, encodings: {} };
}

/** Nobody teaches. */
export const noTeachers: TeacherSource = {
  teach: async () => ({ target: null, waitedMs: 0 }),
  updated: () => {},
  state: NO_STATE,
  dispose: () => {},
};

/** The moving average of the student's own weights teaches; nothing leaves this process. It is saved with the student. */
export function emaTeachers(teacher: EmaTeacher): TeacherSource {
  return {
    teach: async ({ images }) => ({ target: logitsAlone(teacher.predict(images)), waitedMs: 0 }),
    updated: (step) => teacher.update(step),
    state: NO_STATE,
    dispose: () => {},
  };
}

/** The other peers teach: predictions go to the coordinator, what the others predicted comes back. */
export function peerTeachers(
  session: Session,
  options: {
    readonly view: 'shared' | 'own';
    readonly codec: 'float16' | 'float32';
    /** What others need of this student; `null` when it teaches nobody. */
    readonly wants: Wants | null;
    /** Whose predictions are sent instead of the student's own; `null`: its own. */
    readonly ema: EmaTeacher | null;
    /** Whether the coordinator needs the true classes to make the target. */
    readonly sendsLabels: boolean;
  },
): TeacherSource {
  return {
    async teach({ step, ids, images, labels, student }) {
      const averaged = options.ema?.predict(images);
      const said = averaged ? { ...student, logits: averaged } : student;
      const contribution = options.wants ? await contributionOf(said, options.wants, options.codec) : {};
      averaged?.dispose();
      const sentAt = performance.now();
      const request = {
        ...{ round: step, step, batch: batchDigest(ids), view: options.view },
        ...contribution,
        ...(options.sendsLabels && { labels: encodeLabels(labels) }),
      };
      const answer = await session.exchange(request, student.logits.shape);
      const waitedMs = performance.now() - sentAt;
      if (answer.kind === 'target') return { target: tensorsOf(answer, student.logits.shape), waitedMs };
      const { nextRound: nextStep, ended } = answer;
      return { target: null, waitedMs, ...(nextStep !== undefined && { nextStep }), ended };
    },
    updated: (step) => options.ema?.update(step),
    state: NO_STATE,
    dispose: () => {},
  };
}

function tensorsOf(
  { apart, ...whole }: Answer & { kind: 'target' },
  shape: [batch: number, classes: number],
): TeacherOutputs {
  const tensors = ({ logits, encodings }: Received): TeacherOutputs => ({
    logits: logits && tf.tensor2d(logits, shape),
    encodings: Object.fromEntries(
      encodings.map(({ values, shape: its, ...each }) => [encodingKey(each), tf.tensor(values, [...its])]),
    ),
  });
  return { ...tensors(whole), ...(apart && { apart: apart.map(tensors) }) };
}
