import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { loadBackend } from '../src/backend/select.ts';
import type { Refusal } from '../src/backend/types.ts';
import { methodsIn } from '../src/config/methods.ts';
import { runSettingsSchema } from '../src/config/schema.ts';
import { objectiveFrom } from '../src/distill/fromSettings.ts';
import type { FeatureShapes } from '../src/distill/types.ts';
import { ExitCode, UsageError } from '../src/errors.ts';
import { findMethods } from '../src/findMethods.ts';
import { createLogger, type Logger } from '../src/logger.ts';
import { runProgram, type StopSignal, stopOnSignals } from '../src/program.ts';
import { LABEL_LENGTH, PROTOCOL_VERSION, TEXT_LENGTH } from '../src/protocol/messages.ts';
import { lockFolder } from '../src/results/lock.ts';
import { readableByOthers } from '../src/token.ts';
import { createBorrowing, type Origin } from './borrowing.ts';
import { findCheckpoint } from './checkpoints.ts';
import { createLending, type Lending, weightsDigest } from './lending.ts';
import { assignFrom, loadNetwork, type Network } from './network.ts';
import { type PeerOptions, parsePeerOptions } from './options.ts';
import { learn, teachOthers } from './roles.ts';
import { createSession, type Session } from './session.ts';
import { openSocket } from './socket.ts';
import { tellingOf, tellOn, tellWaits } from './tellWaits.ts';
import { totalSteps } from './train.ts';
import { expectAllowed, wantsOf } from './wants.ts';

/** What a stopped peer allows the coordinator to acknowledge its last messages. */
const HURRY_MS = 500;

await runProgram(async () => {
  const options = parsePeerOptions(process.argv.slice(2));
  const logger = createLogger('peer', options.logLevel);
  for (const file of [options.tokenFile, options.identityFile]) {
    if (file !== undefined && readableByOthers(file)) {
      logger.warn({ file }, 'others on this machine may read this file: chmod 600 keeps it secret');
    }
  }
  const stop = stopOnSignals();
  // Before it joins: it would take the place of the process that is there.
  if (options.dir !== undefined) await lock(options.dir, options, logger);
  const backend = await loadBackend(options.backend, options.gpu);
  logger.info({ backend: backend.name, device: backend.device, refused: backend.refused }, 'backend');
  if (stop.signal.aborted) return stop.exitCode();

  const connected = createSession({
    hello: {
      type: 'hello',
      protocol: PROTOCOL_VERSION,
      name: options.name,
      model: options.model,
      incarnation: randomUUID(),
      backend: backend.name,
      device: backend.device.slice(0, LABEL_LENGTH),
      role: options.role,
      ...(options.identity && { identity: options.identity.publicKey }),
    },
    ...(options.identity && { sign: options.identity.sign }),
    connect: (events) => openSocket(options.coordinator, options, events),
    patienceMs: options.patienceMs,
    notify: (what) => logger.info({ what }, 'connection'),
  });
  const session = tellWaits(connected, tellOn(logger));
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
  if (options.dir === undefined) await lock(folder, options, logger);
  logger.info({ model: modelName, dataset: settings.data.dataset }, 'loading');
  const loading = loadNetwork({
    name,
    model: modelName,
    settings,
    download: options.download,
    ...(options.dataDir !== undefined && { dataDir: options.dataDir }),
  });
  const network = await tellingOf(loading, { for: 'the data and the model', next: 'train' }, tellOn(logger));
  const { dataset } = network;
  const learns = options.role === 'student';
  if (!learns) await assignFrom(options.weights!, network, modelName);
  const methods = await findMethods(methodsIn(settings.distill));
  const objective = learns ? objectiveFrom(settings.distill, methods) : null;
  const wants = objective && wantsOf(objective, Object.keys(network.layers), settings.exchange.ensemble);
  if (wants) expectAllowed(wants, network, settings);
  const owner = { run: welcome.run, settings };
  const notify = (what: string): void => logger.info({ what }, 'checkpoints');
  const checkpoint = objective && (await findCheckpoint(folder, network, owner, notify));
  logger.info({ peer: name, model: modelName, dataset: dataset.source, folder }, 'ready');

  const facts = {
    dataset: dataset.digest,
    classes: dataset.classNames.length,
    inputShape: [...dataset.imageShape] as [number, number, number],
    trainSize: dataset.train.count,
    testSize: dataset.test.count,
    parameters: network.parameterCount,
    refused: refused.map(({ backend, reason }) => ({ backend, reason: reason.slice(0, TEXT_LENGTH) })),
    layers: mutable(network.layers),
    ...(wants && { wants }),
    ...(checkpoint && { step: checkpoint.step }),
  };
  const lending = learns && !options.keepWeights ? lend(network, session, logger) : undefined;
  const borrowing = options.startFromBest && !checkpoint ? createBorrowing(network.model) : undefined;
  if (options.startFromBest && checkpoint)
    logger.info(
      { step: checkpoint.step },
      'going on from its own checkpoint: --start-from-best is not needed',
    );
  // Nobody is to wait for a peer that is about to leave.
  if (stop.signal.aborted) return stop.exitCode();
  const weights = { lender: lending, borrower: borrowing };
  const ready = session.ready(facts, settings.exchange.onCoordinatorLoss, weights);
  const start = await Promise.race([ready, stopped]);
  if (!start) return stop.exitCode();
  if (borrowing) await tellOrigin(borrowing.settle(start), network, logger);
  const steps = { step: checkpoint?.step ?? start.step ?? 0, steps: totalSteps(settings, dataset) };
  logger.info({ peers: start.peers, ...steps }, learns ? 'training' : 'teaching');

  const context = { network, settings, session, wants, start, stop, logger };
  const { delivered, unsaved } = objective
    ? await learn({
        ...context,
        objective,
        modelName,
        owner,
        folder,
        checkpoint,
        weights: options.weights,
        lending,
      })
    : await teachOthers(context);
  if (stop.signal.aborted) {
    await Promise.race([delivered, new Promise((resolve) => setTimeout(resolve, HURRY_MS))]);
    if (unsaved) throw unsaved;
    return stop.exitCode();
  }
  await Promise.race([delivered, stopped]);
  network.dispose();
  if (unsaved) throw unsaved;
  return stop.signal.aborted ? stop.exitCode() : ExitCode.ok;
}

/** Lets other students begin with this one's weights. */
function lend({ model }: Network, session: Session, logger: Logger): Lending {
  return createLending(
    model,
    (piece) => session.report(piece),
    (what) => logger.info({ what }, 'weights'),
  );
}

/** Says what a student begins with that asked for the best one's weights. */
async function tellOrigin(origin: Origin, { model }: Network, logger: Logger): Promise<void> {
  if (origin.peer === null) {
    logger.warn({ reason: origin.reason }, 'starting with its own fresh weights');
    return;
  }
  const sha256 = await weightsDigest(model);
  logger.info({ ...origin, sha256 }, "starting with another student's weights");
}

/** Keeps others out of a student's folder; a teacher has none. */
async function lock(folder: string, { role }: PeerOptions, logger: Logger): Promise<void> {
  if (role === 'student') await lockFolder(folder, 'program', (what) => logger.info({ what }, 'lock'));
}

/** Shapes as they are sent. */
function mutable(layers: FeatureShapes): Record<string, number[]> {
  return Object.fromEntries(Object.entries(layers).map(([layer, shape]) => [layer, [...shape]]));
}
