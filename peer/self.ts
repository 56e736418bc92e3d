import { join } from 'node:path';
import { loadBackend } from '../src/backend/select.ts';
import { createCommand } from '../src/config/commandLine.ts';
import { addExperimentOptions, overridesFrom } from '../src/config/flags.ts';
import { loadExperiment } from '../src/config/load.ts';
import { methodLabel, methodsIn } from '../src/config/methods.ts';
import { peerNames } from '../src/config/peers.ts';
import { type Experiment, runSettings } from '../src/config/schema.ts';
import {
  addGpuOption,
  addOutputOptions,
  addTrainingOptions,
  type TrainingOptions,
} from '../src/config/trainingOptions.ts';
import { objectiveFrom } from '../src/distill/fromSettings.ts';
import { ExitCode, UsageError } from '../src/errors.ts';
import { findMethods } from '../src/findMethods.ts';
import { createLogger } from '../src/logger.ts';
import { runProgram, stopOnSignals } from '../src/program.ts';
import { lockFolder } from '../src/results/lock.ts';
import { hasMetrics, metricsOf, openRecorder } from '../src/results/recorder.ts';
import { defaultRunFolder, isUnfinished, writeReport } from '../src/results/runFolder.ts';
import { summaryFile } from '../src/results/summaryFile.ts';
import type { PeerStatus, RunStatus } from '../src/results/types.ts';
import { findCheckpoint } from './checkpoints.ts';
import type { Report } from './log.ts';
import { loadNetwork } from './network.ts';
import { summariseAlone } from './selfSummary.ts';
import { ownTeachers } from './selfTeachers.ts';
import { createStudent } from './student.ts';
import { noTeachers } from './teachers.ts';
import { totalSteps } from './train.ts';
import { work } from './work.ts';

interface SelfOptions extends TrainingOptions {
  readonly experiment: Experiment;
  readonly dir: string;
  readonly logLevel: string;
}

async function parseSelfOptions(argv: readonly string[]): Promise<SelfOptions> {
  const command = createCommand('self', 'Trains one student that is its own teacher, without any network.');
  command.argument('[experiment]', 'an experiment file, or the name of a ready one', 'quickstart');
  addOutputOptions(addGpuOption(addTrainingOptions(command)), 'the run folder; default: runs/<name>-<time>');
  addExperimentOptions(command);
  command.parse(argv, { from: 'user' });
  const [file] = command.processedArgs as [string];
  const { experiment } = await loadExperiment(file, overridesFrom(command));
  if (peerNames(experiment).length !== 1) {
    throw new UsageError(`peers: expected one student, got ${peerNames(experiment).length}.`);
  }
  const options = command.opts<TrainingOptions & { dir?: string; logLevel: string }>();
  return {
    ...options,
    experiment,
    dir: options.dir ?? defaultRunFolder(experiment.name),
  };
}

await runProgram(async () => {
  const { experiment, dir: folder, ...options } = await parseSelfOptions(process.argv.slice(2));
  const [planned] = peerNames(experiment);
  const { name, model } = planned!;
  const settings = runSettings(experiment);
  const method = methodLabel(settings.distill);
  const logger = createLogger('self', options.logLevel);
  const stop = stopOnSignals();
  const startedAt = performance.now();
  const seconds = (): number => (performance.now() - startedAt) / 1000;

  await lockFolder(folder, 'program', (what) => logger.info({ what }, 'lock'));
  const { name: backend, device, refused } = await loadBackend(options.backend, options.gpu);
  logger.info({ backend, device, refused }, 'backend');
  const { dataDir, download } = options;
  const network = await loadNetwork({
    ...{ name, model, settings, download },
    ...(dataDir !== undefined && { dataDir }),
  });
  const student = await createStudent(
    network,
    objectiveFrom(settings.distill, await findMethods(methodsIn(settings.distill))),
    settings,
    null,
  );
  const { dataset } = student;
  logger.info({ model, dataset: dataset.source, folder, steps: totalSteps(settings, dataset) }, 'training');

  const goesOn = hasMetrics(folder) && (await isUnfinished(folder));
  const recorder = await openRecorder(folder, experiment, { goesOn, logger });
  const owner = { run: 'self', settings };
  const peerFolder = join(folder, 'peers', name);
  const notify = (what: string): void => logger.info({ what }, 'checkpoints');
  const checkpoint = goesOn ? await findCheckpoint(peerFolder, student, owner, notify) : null;
  let status: PeerStatus = {
    ...{
      name,
      role: 'student',
      model,
      backend,
      device,
      refusedBackends: refused,
      connected: true,
      state: 'training',
    },
    ...{ step: 0, steps: totalSteps(settings, dataset), loss: null, accuracy: null, testAccuracy: null },
    ...{ imagesPerSecond: 0, waitFraction: 0, collapsed: null, quarantined: null },
  };
  const tell = (changes: Partial<PeerStatus>): void => {
    status = { ...status, ...changes };
    const rounds = { committed: 0, missed: 0 };
    const run: RunStatus = {
      ...{ run: folder, method, phase: 'training', waitingFor: null, peers: [status], rounds },
      seconds: seconds(),
    };
    if (process.connected) process.send?.(run);
  };
  tell({});
  const report = (message: Report): void => {
    if (message.type === 'notice') {
      const { event, step, reason } = message;
      logger.warn({ step, reason }, event);
      recorder.event({ event, peer: name, reason });
      tell({ collapsed: event === 'collapsed' ? reason : null });
      return;
    }
    const record = metricsOf(name, message);
    if (record) recorder.metrics(record);
    if (message.type === 'evaluation') {
      tell({ testAccuracy: message.accuracy });
      return;
    }
    const { step, loss, accuracy, imagesPerSecond, waitFraction } = message;
    tell({ step, loss, accuracy, imagesPerSecond, waitFraction });
  };

  const teachers = (await ownTeachers(student, settings, model, planned!.weights)) ?? noTeachers;
  const result = await work({
    ...{ student, modelName: model, settings, teachers, report },
    ...{ owner, folder: peerFolder, checkpoint, firstStep: 0, signal: stop.signal, notify },
  });
  teachers.dispose();
  logger.info({ outcome: result.outcome, step: result.step, ...result.final?.evaluation }, 'trained');
  const summary = summariseAlone({
    method,
    status,
    student,
    result,
    report: settings.training.report,
    seconds: seconds(),
  });
  await recorder.close(summaryFile(summary, experiment));
  await writeReport(folder);
  student.dispose();
  if (result.unsaved) throw result.unsaved;
  return stop.signal.aborted ? stop.exitCode() : ExitCode.ok;
});
