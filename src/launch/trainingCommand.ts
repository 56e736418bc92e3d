import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { addExperimentOptions, overridesFrom } from '../config/flags.ts';
import { loadExperiment, type Override } from '../config/load.ts';
import { methodsIn } from '../config/methods.ts';
import type { Experiment } from '../config/schema.ts';
import { addOutputOptions, addTrainingOptions, type TrainingOptions } from '../config/trainingOptions.ts';
import { DataError, ExitCode, StorageError, UsageError } from '../errors.ts';
import { isModelPath } from '../models/names.ts';
import { stopOnSignals } from '../program.ts';
import { combine } from '../results/combine.ts';
import { json, makeFolder, writeFileAtomic } from '../results/files.ts';
import { withGenerations } from '../results/generations.ts';
import { lockFolder } from '../results/lock.ts';
import { expectNoRun } from '../results/recorder.ts';
import { defaultRunFolder, isUnfinished, readSummary, writeReport } from '../results/runFolder.ts';
import { resultTable } from '../results/table.ts';
import type { RunStatus, RunSummary } from '../results/types.ts';
import type { Program } from './program.ts';
import { createProgress } from './progress.ts';
import { trainingsOf } from './trainings.ts';

/** What a command that trains was told besides the experiment. */
export interface LaunchOptions extends TrainingOptions {
  readonly dir?: string;
  /** The folder of a run that is to go on. */
  readonly resume?: string;
  readonly logLevel: string;
  readonly json: boolean;
}

/** One training with one method, to be done by child processes. */
export interface Training {
  readonly experiment: Experiment;
  /** The same in a file, as every program of the training reads it. */
  readonly experimentFile: string;
  readonly folder: string;
  readonly options: LaunchOptions;
  readonly show: (status: RunStatus) => void;
  /** Told about every program that has ended: one that could not save its results makes the command say so. */
  readonly noteUnsaved: (program: Program) => Promise<void>;
  /** To be passed on to the programs once. */
  readonly signal: AbortSignal;
}

/** Adds what `run` and `self` have in common. */
export function addLaunchOptions(command: Command): Command {
  command
    .argument('[experiment]', 'an experiment file, or the name of a ready one', 'quickstart')
    .addOption(
      new Option('--resume <folder>', 'go on with the run in this folder, where it ended before its time'),
    )
    .addOption(new Option('--json', 'print the summary as JSON on stdout instead of a table').default(false));
  addOutputOptions(addTrainingOptions(command), 'the run folder; default: runs/<name>-<time>');
  addExperimentOptions(command);
  return command;
}

/** The experiment that the parsed `command` asks for. `defaults` count more than the file, and less than a flag. */
export async function experimentOf(
  command: Command,
  defaults: readonly Override[] = [],
): Promise<Experiment> {
  const [file] = command.processedArgs as [string];
  const given = overridesFrom(command);
  const plan = planToResume(command, given);
  const { experiment } = await loadExperiment(plan ?? file, plan === null ? [...defaults, ...given] : []);
  for (const { model } of experiment.peers) {
    if (isModelPath(model) && !existsSync(model)) {
      throw new UsageError(`peers[].model: there is no file ${model}, from the folder of this command.`);
    }
  }
  for (const method of [...methodsIn(experiment.distill), ...experiment.compare]) {
    if (isModelPath(method) && !existsSync(method)) {
      throw new UsageError(`There is no method module ${method}, from the folder of this command.`);
    }
  }
  // Here and not by the teacher: that of another one may have to be trained first, for hours.
  for (const { weights } of experiment.peers) {
    if (weights !== undefined && !existsSync(weights)) {
      throw new DataError(
        `peers[].weights: there is no file or run folder ${weights}, from the folder of this command. Without weights, the teacher is trained first.`,
      );
    }
  }
  return experiment;
}

/** The experiment of the run that goes on, which takes no other settings then; `null` for a new run. */
function planToResume(command: Command, overrides: readonly Override[]): string | null {
  const { resume, dir } = command.opts<LaunchOptions>();
  if (resume === undefined) return null;
  const given = [
    ...command.args,
    ...(dir === undefined ? [] : ['--dir']),
    ...overrides.map(({ origin }) => origin),
  ];
  if (given.length > 0) {
    throw new UsageError(
      `--resume: expected no experiment and no settings, as the run has its own, got ${given.join(', ')}.`,
    );
  }
  const plan = join(resume, PLAN);
  if (existsSync(plan)) return plan;
  throw new UsageError(`--resume ${resume}: expected the folder of a run, but there is no ${PLAN} in it.`);
}

/** The experiment that was asked for; `experiment.json` is that of the training under way, until all are over. */
const PLAN = 'plan.json';

/**
 * Trains with the experiment's method, then with each under `compare`; shows the progress on stderr and the result on
 * stdout, and leaves a run folder behind.
 *
 * @param train does one training and returns the summary that it wrote
 */
export async function launch(
  experiment: Experiment,
  options: LaunchOptions,
  train: (training: Training) => Promise<RunSummary>,
): Promise<ExitCode> {
  const folder = options.resume ?? options.dir ?? defaultRunFolder(experiment.name);
  await lockFolder(folder, 'launcher', (what) => process.stderr.write(`${what}\n`));
  if (options.resume === undefined) {
    expectNoRun(folder);
    await writeFileAtomic(join(folder, PLAN), json(experiment));
  }
  const stop = stopOnSignals();
  process.stderr.write(`Run folder: ${folder}\n`);

  const progress = createProgress(process.stderr, { tty: process.stderr.isTTY });
  const trainings = trainingsOf(experiment, folder);
  const summaries: RunSummary[] = [];
  const unsaved: string[] = [];
  const noteUnsaved = async (program: Program): Promise<void> => {
    if ((await program.exited) === ExitCode.unsaved) unsaved.push(`${program.name}: ${program.errorText()}`);
  };
  try {
    for (const [i, { kind, earlier, ...training }] of trainings.entries()) {
      if (stop.signal.aborted) break;
      const part = { number: i + 1, of: trainings.length };
      const file = join(training.folder, 'experiment.json');
      const show = (status: RunStatus): void => progress.show(status, part);
      const work = async (): Promise<RunSummary> => {
        await makeFolder(training.folder);
        await writeFileAtomic(file, json(training.experiment));
        const more = { experimentFile: file, options, show, noteUnsaved, signal: stop.signal };
        return train({ ...training, ...more });
      };
      const summary = (await isUnfinished(training.folder))
        ? await work()
        : await readSummary(training.folder);
      if (kind === 'teachers') continue;
      const generations = earlier.length === 0 ? [] : [...earlier, training.folder];
      summaries.push(await withGenerations(summary, generations));
    }
  } catch (error) {
    // What there is, is shown all the same.
    if (!(error instanceof StorageError) || summaries.length === 0) throw error;
    unsaved.push(error.message);
  } finally {
    progress.stop();
  }

  const [main, ...others] = summaries;
  if (!main) return stop.exitCode();
  const compare = Object.fromEntries(others.map((summary) => [summary.method, summary]));
  const summary = combine(main, compare, experiment);
  try {
    // The first training has left its own there: those of one method alone.
    await writeFileAtomic(join(folder, 'experiment.json'), json(experiment));
    await writeFileAtomic(join(folder, 'summary.json'), json(summary));
    await writeReport(folder);
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    unsaved.push(error.message);
  }
  process.stdout.write(options.json ? json(summary) : `\n${resultTable(summary)}\n`);
  process.stderr.write(`\nResults: ${folder}\nReport:  ${join(folder, 'report.html')}\n`);
  if (unsaved.length > 0) {
    process.stderr.write(`\nNot everything is saved:\n${unsaved.join('\n')}\n`);
    return ExitCode.unsaved;
  }
  const finished = summaries.every(({ peers }) => peers.every(({ outcome }) => outcome === 'finished'));
  if (!finished || summaries.length < trainings.filter(({ kind }) => kind === 'students').length) {
    process.stderr.write(`Go on:   codistill run --resume ${folder}\n`);
  }
  if (stop.signal.aborted) return stop.exitCode();
  return finished ? ExitCode.ok : ExitCode.incomplete;
}
