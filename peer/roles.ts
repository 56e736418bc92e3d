import type { RunSettings } from '../src/config/schema.ts';
import { getEncoder } from '../src/distill/encoders/index.ts';
import type { Objective } from '../src/distill/objective.ts';
import type { FeatureShapes } from '../src/distill/types.ts';
import { wantsLabels } from '../src/ensemble/wantsLabels.ts';
import { type StorageError, UsageError } from '../src/errors.ts';
import type { Logger } from '../src/logger.ts';
import type { Model } from '../src/models/types.ts';
import type { StopSignal } from '../src/program.ts';
import { CHECKPOINT_CHUNK_BYTES } from '../src/protocol/limits.ts';
import type { CoordinatorMessage, MessageOf, Wants } from '../src/protocol/messages.ts';
import { mostWeightBytes } from './borrowing.ts';
import { type CheckpointInbox, createCheckpointInbox } from './checkpointInbox.ts';
import type { CheckpointOwner, FoundCheckpoint } from './checkpoints.ts';
import { checkpointTeachers } from './checkpointTeachers.ts';
import type { Lending } from './lending.ts';
import type { Network } from './network.ts';
import { predictionMessages, resultMessages } from './resultMessages.ts';
import { ownTeachers } from './selfTeachers.ts';
import type { Session } from './session.ts';
import { createStudent, type Student } from './student.ts';
import { expectTargetFits } from './targetSize.ts';
import { EVALUATING, teach } from './teacher.ts';
import { peerTeachers, type TeacherSource } from './teachers.ts';
import { tellingOf, tellOn } from './tellWaits.ts';
import { work } from './work.ts';

/** A peer that is in a run which has started. */
export interface Part {
  readonly network: Network;
  readonly settings: RunSettings;
  readonly session: Session;
  /** What this peer's method needs of others. */
  readonly wants: Wants | null;
  readonly start: MessageOf<CoordinatorMessage, 'start'>;
  readonly stop: StopSignal;
  readonly logger: Logger;
}

/** A student's place in it. */
export interface StudentPart extends Part {
  readonly objective: Objective;
  /** As the user wrote it: a name, or a path. */
  readonly modelName: string;
  /** Whose checkpoints those in the folder are. */
  readonly owner: CheckpointOwner;
  readonly folder: string;
  /** What this student goes on with; `null`: it begins where it is told to. */
  readonly checkpoint: FoundCheckpoint | null;
  /** Path of the weights of the generation that it learns from. */
  readonly weights: string | undefined;
  /** Sends its weights to others that ask; `undefined`: it keeps them to itself. */
  readonly lending: Lending | undefined;
}

/**
 * A student's part: train, and hand in the results.
 *
 * @returns what resolves when the coordinator has saved them, and why they could not be saved here
 */
export async function learn(
  part: StudentPart,
): Promise<{ readonly delivered: Promise<void>; readonly unsaved: StorageError | null }> {
  const { network, settings, session, start, stop, logger, objective } = part;
  if (start.wants) expectStateless(start.wants);
  const teachers = start.teachers ?? [];
  if (part.wants && settings.exchange.mode === 'lockstep')
    expectTargetFits(part.wants, teachers, network.model.classes, settings);
  const shared = commonLayers(teachers.map(({ layers }) => layers));
  const student = await createStudent(network, objective, settings, shared);
  const sources = await teachersOf(student, part);
  const result = await work({
    student,
    modelName: part.modelName,
    settings,
    teachers: sources,
    owner: part.owner,
    folder: part.folder,
    checkpoint: part.checkpoint,
    firstStep: start.step ?? 0,
    at: (step) => part.lending?.at(step),
    // One that waits for its coordinator in vain ends as it would when it is stopped.
    signal: AbortSignal.any([stop.signal, session.lost]),
    notify: (what) => logger.warn({ what }, 'checkpoints'),
    report: (message) => {
      session.report(message);
      if (message.type === 'notice')
        logger.warn({ step: message.step, reason: message.reason }, message.event);
      else logger.debug(message, message.type);
    },
  }).finally(() => sources.dispose());
  logger.info({ outcome: result.outcome, step: result.step, ...result.final?.evaluation }, 'trained');
  const { test, classNames } = network.dataset;
  const { unsaved } = result;
  if (unsaved) logger.error({ reason: unsaved.message }, 'results not saved');
  return { delivered: session.finish(resultMessages(result, test.labels, classNames.length)), unsaved };
}

/**
 * A teacher's part: hand in what it predicts of the test set, and then teach until the students are done.
 *
 * @returns what resolves when the run is over
 */
export async function teachOthers(
  part: Part,
): Promise<{ readonly delivered: Promise<void>; readonly unsaved: null }> {
  const { network, session, start, stop } = part;
  const { test, classNames } = network.dataset;
  const logits = await network.predictTestSet(stop.signal, () => session.report(EVALUATING));
  const results = logits ? predictionMessages(logits, test.labels, classNames.length) : [];
  const delivered = session.finish(results);
  if (start.wants && logits) await teach({ ...part, wants: start.wants, signal: stop.signal });
  return { delivered, unsaved: null };
}

/** @throws {UsageError} for a method whose teacher has to train something first: a student has no time for that */
function expectStateless({ encodings }: Wants): void {
  const trained = encodings.find(({ encoder }) => getEncoder(encoder).trainable);
  if (!trained) return;
  throw new UsageError(
    `${trained.encoder} of ${trained.layer} comes from a teacher that trains for it first: give the run a peer of role teacher.`,
  );
}

/** The layers that all teachers have in the same shape; `null` without teachers. */
function commonLayers([first, ...others]: readonly FeatureShapes[]): FeatureShapes | null {
  if (!first) return null;
  const common = Object.entries(first).filter(([layer, shape]) =>
    others.every((other) => String(other[layer]) === String(shape)),
  );
  return Object.fromEntries(common);
}

async function teachersOf(student: Student, part: StudentPart): Promise<TeacherSource> {
  const { session, settings, start, wants } = part;
  const own = await ownTeachers(student, part.settings, part.modelName, part.weights);
  if (own) return own;
  const { data, exchange } = settings;
  if (exchange.mode === 'checkpoint') return copiesOf(student, part, wants!.temperature);
  return peerTeachers(session, {
    view: data.view,
    codec: exchange.codec,
    wants: start.wants ?? null,
    ema: student.ema,
    sendsLabels: wants !== null && wantsLabels(wants.ensemble),
  });
}

/** Copies of the other students' networks, which run here, and get their weights now and then. */
async function copiesOf(student: Student, part: Part, temperature: number): Promise<TeacherSource> {
  const { session, settings, start } = part;
  const { exchange, distill } = settings;
  const copies = new Map<string, Model>();
  for (const { name, model } of start.teachers ?? []) copies.set(name, await student.another(model));
  const inbox = createCheckpointInbox(
    new Map([...copies].map(([name, copy]) => [name, mostWeightBytes(copy)])),
  );
  session.onCheckpoint((piece) => inbox.receive(piece));
  const tell = tellOn(part.logger);
  const telling: CheckpointInbox = {
    ...inbox,
    take: (peer, step, patienceMs) =>
      tellingOf(
        inbox.take(peer, step, patienceMs),
        { for: `${peer}'s weights of step ${step}`, next: 'train on, without them after exchange.maxWait' },
        tell,
      ),
  };
  return checkpointTeachers({
    ...{ model: student.model, copies, inbox: telling, temperature },
    every: exchange.checkpointEvery,
    firstStep: distill.burnInSteps,
    maxWaitMs: exchange.maxWait,
    send(step, bytes) {
      for (let offset = 0; offset < bytes.length; offset += CHECKPOINT_CHUNK_BYTES) {
        const data = bytes.subarray(offset, offset + CHECKPOINT_CHUNK_BYTES);
        session.report({ type: 'checkpoint', step, offset, size: bytes.length, data });
      }
    },
  });
}
