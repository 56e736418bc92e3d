import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { loadBackend } from '../src/backend/select.ts';
import type { Refusal } from '../src/backend/types.ts';
import { getCodec } from '../src/codec/index.ts';
import { runSettingsSchema } from '../src/config/schema.ts';
import { getMethod } from '../src/distill/index.ts';
import { ExitCode, UsageError } from '../src/errors.ts';
import { createLogger, type Logger } from '../src/logger.ts';
import { runProgram, type StopSignal, stopOnSignals } from '../src/program.ts';
import { LABEL_LENGTH, PROTOCOL_VERSION, TEXT_LENGTH } from '../src/protocol/messages.ts';
import { type PeerOptions, parsePeerOptions } from './options.ts';
import { resultMessages } from './resultMessages.ts';
import { createSession, type Session } from './session.ts';
import { openSocket } from './socket.ts';
import { createStudent, type Student } from './student.ts';
import { emaTeachers, noTeachers, peerTeachers, type TeacherSource } from './teachers.ts';
import { totalSteps } from './train.ts';
import { work } from './work.ts';

/** What a stopped peer allows the coordinator to acknowledge its last messages. */
const HURRY_MS = 500;

await runProgram(async () => {
  const options = parsePeerOptions(process.argv.slice(2));
  const logger = createLogger('peer', options.logLevel);
  const stop = stopOnSignals();
  const backend = await loadBackend(options.backend, options.gpu);
  logger.info({ backend: backend.name, device: backend.device, refused: backend.refused }, 'backend');
  if (stop.signal.aborted) return stop.exitCode();

  const session = createSession({
    hello: {
      type: 'hello',
      protocol: PROTOCOL_VERSION,
      name: options.name,
      model: options.model,
      incarnation: randomUUID(),
      backend: backend.name,
      device: backend.device.slice(0, LABEL_LENGTH),
    },
    connect: (events) => openSocket(options.coordinator, options.token, events),
    patienceMs: options.patienceMs,
    notify: (what) => logger.info({ what }, 'connection'),
  });
  try {
    return await takePart(session, backend.refused, options, logger, stop);
  } finally {
    // Also after an error: an open connection would keep this process, and its place in the run, alive.
    session.close();
  }
});

/** A peer's whole part in a run: join, load, train with the others, hand in the results. */
async function takePart(
  session: Session,
  refused: readonly Refusal[],
  options: PeerOptions,
  logger: Logger,
  stop: StopSignal,
): Promise<ExitCode> {
  const stopped = new Promise<null>((resolve) =>
    stop.signal.addEventListener('abort', () => {
      logger.info('stopping: saving the work');
      session.abandon();
      resolve(null);
    }),
  );

  const welcome = await Promise.race([session.join(), stopped]);
  if (!welcome) return stop.exitCode();
  const parsed = runSettingsSchema.safeParse(welcome.experiment);
  if (!parsed.success) {
    throw new UsageError(
      `The coordinator's experiment does not fit this version of codistill: ${parsed.error.message}`,
    );
  }
  const settings = parsed.data;
  const { name, model: modelName } = welcome;
  const folder = options.dir ?? join('runs', welcome.run, 'peers', name);
  const student = await createStudent({
    name,
    model: modelName,
    settings,
    download: options.download,
    ...(options.dataDir !== undefined && { dataDir: options.dataDir }),
  });
  const { dataset } = student;
  logger.info({ peer: name, model: modelName, dataset: dataset.source, folder }, 'ready');

  const facts = {
    dataset: dataset.digest,
    classes: dataset.classNames.length,
    inputShape: [...dataset.imageShape] as [number, number, number],
    trainSize: dataset.train.count,
    testSize: dataset.test.count,
    parameters: student.parameterCount,
    refused: refused.map(({ backend, reason }) => ({ backend, reason: reason.slice(0, TEXT_LENGTH) })),
  };
  // Nobody is to wait for a peer that is about to leave.
  if (stop.signal.aborted) return stop.exitCode();
  const start = await Promise.race([session.ready(facts), stopped]);
  if (!start) return stop.exitCode();
  logger.info({ peers: start.peers, steps: totalSteps(settings, dataset) }, 'training');

  const result = await work({
    student,
    modelName,
    settings,
    teachers: teachersOf(student, session, settings),
    folder,
    signal: stop.signal,
    report: (message) => {
      session.report(message);
      if (message.type === 'notice')
        logger.warn({ step: message.step, reason: message.reason }, message.event);
      else logger.debug(message, message.type);
    },
  });
  logger.info({ outcome: result.outcome, step: result.step, ...result.final?.evaluation }, 'trained');
  const delivered = session.finish(resultMessages(result, dataset.test.labels, facts.classes));
  if (stop.signal.aborted) {
    await Promise.race([delivered, new Promise((resolve) => setTimeout(resolve, HURRY_MS))]);
    return stop.exitCode();
  }
  await Promise.race([delivered, stopped]);
  student.dispose();
  return stop.signal.aborted ? stop.exitCode() : ExitCode.ok;
}

function teachersOf(
  student: Student,
  session: Session,
  { data, exchange, distill }: Parameters<typeof totalSteps>[0],
): TeacherSource {
  if (student.ema) return emaTeachers(student.ema);
  if (getMethod(distill.method).teachers === 'none') return noTeachers;
  return peerTeachers(session, { view: data.view, codec: exchange.codec }, getCodec(exchange.codec).encode);
}
