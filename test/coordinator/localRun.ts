import * as tf from '@tensorflow/tfjs';
import { receive } from '../../coordinator/run.ts';
import type { Run, RunEffect } from '../../coordinator/runState.ts';
import { contributionOf } from '../../peer/contribution.ts';
import { createTrainingLog } from '../../peer/log.ts';
import { loadNetwork } from '../../peer/network.ts';
import { createStudent, type Student } from '../../peer/student.ts';
import { logitsAlone, noTeachers, type TeacherSource, type Teaching } from '../../peer/teachers.ts';
import { train } from '../../peer/train.ts';
import { getCodec } from '../../src/codec/index.ts';
import { type RunSettings, runSettingsSchema } from '../../src/config/schema.ts';
import { objectiveFrom } from '../../src/distill/fromSettings.ts';
import { batchDigest } from '../../src/protocol/batchDigest.ts';
import type { CoordinatorMessage, MessageOf } from '../../src/protocol/messages.ts';
import type { Evaluation } from '../../src/results/types.ts';
import { evaluateLogits } from '../../src/training/metrics.ts';
import { EMBEDDED } from '../peer/support.ts';
import { readyOf, readyWith, startedRun } from './support.ts';

/** What a peer sends in the place of its logits, `[rows, classes]`; may change them. */
export type Lie = (logits: Float32Array, step: number) => Float32Array;

export interface LocalPeer {
  readonly name: string;
  readonly model: string;
  /** Absent: it is honest. */
  readonly lie?: Lie;
}

/** What a coordinator heard of a peer about one batch. */
export interface Heard {
  readonly peer: string;
  readonly step: number;
  readonly batch: Uint8Array<ArrayBuffer>;
  readonly logits: Float32Array;
}

export interface LocalResult {
  readonly run: Run;
  /** Who entered or left quarantine, as `quarantined a 12 constant: ...`. */
  readonly events: readonly string[];
  readonly heard: readonly Heard[];
  /** On the test set at the end, by peer. */
  readonly evaluations: ReadonlyMap<string, Evaluation>;
}

type Answer = MessageOf<CoordinatorMessage, 'target' | 'noTarget'>;

const CLASSES = 10;

/** Training of students of Fashion-MNIST that teach each other. */
export function trainingSettings(changes: {
  readonly seed?: number;
  readonly data?: Partial<RunSettings['data']>;
  readonly training?: object;
  readonly distill?: object;
  readonly exchange?: object;
}): RunSettings {
  return runSettingsSchema.parse({
    seed: changes.seed ?? 1,
    data: { trainSize: 640, testSize: 500, labelNoise: 0.3, batchSize: 64, ...changes.data },
    training: { epochs: 10, ...changes.training },
    distill: { burnInSteps: 0, rampUpSteps: 0, ...changes.distill },
    exchange: { ...changes.exchange },
  });
}

/**
 * Trains the peers in this process, with the training loop that peers have and the decisions of the coordinator; only the
 * sockets between them are left out.
 *
 * @param betweenRounds called after every message, for a test that meddles with the run
 */
export async function trainTogether(
  peers: readonly LocalPeer[],
  settings: RunSettings,
  betweenRounds: (run: Run) => void = () => {},
): Promise<LocalResult> {
  const students = await Promise.all(peers.map(({ name, model }) => studentOf(name, model, settings)));
  const names = peers.map(({ name }) => name);
  const { trainSize, testSize } = settings.data;
  const ready = readyWith({ classes: CLASSES, trainSize: trainSize!, testSize: testSize! });
  const run = startedRun(names, settings, readyOf(names[0]!, ready));
  const waiting = new Map<number, (answer: Answer) => void>();
  const events: string[] = [];
  const heard: Heard[] = [];

  const follow = (effects: readonly RunEffect[]): void => {
    for (const effect of effects) {
      if (effect.type === 'send') waiting.get(effect.connection)?.(effect.message as Answer);
      if (effect.type !== 'event') continue;
      const { event, peer, round, reason } = effect.record;
      if (event === 'quarantined' || event === 'released') events.push(`${event} ${peer} ${round} ${reason}`);
    }
    betweenRounds(run);
  };

  const teachersOf = ({ name, lie }: LocalPeer): TeacherSource => ({
    ...noTeachers,
    async teach({ step, ids, student }): Promise<Teaching> {
      const codec = getCodec(settings.exchange.codec);
      const shape = student.logits.shape;
      const { logits } = await contributionOf(student, run.wants!, settings.exchange.codec);
      const values = codec.decode(logits!.data, ...shape);
      const said = lie ? lie(values, step) : values;
      const batch = batchDigest(ids);
      heard.push({ peer: name, step, batch, logits: said.slice() });
      const answer = await new Promise<Answer>((resolve) => {
        waiting.set(run.connections.get(name)!, resolve);
        const message = { ...logits!, data: codec.encode(said, ...shape) };
        const rows = { type: 'logits', round: step, step, batch, view: 'shared' } as const;
        follow(receive(run, name, { ...rows, logits: message }, 0));
      });
      if (answer.type === 'noTarget') return { target: null, waitedMs: 0 };
      const target = codec.decode(answer.logits!.data, ...shape);
      return { target: logitsAlone(tf.tensor2d(target, shape)), waitedMs: 0 };
    },
  });

  try {
    const evaluations = await Promise.all(
      students.map(async (student, i) => {
        return [student.name, await finish(student, settings, teachersOf(peers[i]!))] as const;
      }),
    );
    return { run, events, heard, evaluations: new Map(evaluations) };
  } finally {
    for (const student of students) student.dispose();
  }
}

async function studentOf(name: string, model: string, settings: RunSettings): Promise<Student> {
  const network = await loadNetwork({ name, model, settings, dataDir: EMBEDDED, download: false });
  return createStudent(network, objectiveFrom(settings.distill), settings, null);
}

/** Trains to the end; the quality on the test set. */
async function finish(student: Student, settings: RunSettings, teachers: TeacherSource): Promise<Evaluation> {
  const signal = new AbortController().signal;
  await train({
    ...student,
    ...{ peer: student.name, settings, teachers, from: 0, signal },
    log: createTrainingLog({ classes: CLASSES, graceSteps: 1e9, now: () => 0 }, () => {}),
    evaluate: async () => {},
    keep: async () => {},
  });
  const logits = await student.predictTestSet(signal, () => {});
  return evaluateLogits(logits!, student.dataset.test.labels, CLASSES);
}
