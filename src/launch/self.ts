import { join } from 'node:path';
import type { Command } from 'commander';
import { createCommand } from '../config/commandLine.ts';
import { asksPeers, methodsIn } from '../config/methods.ts';
import { addGpuOption } from '../config/trainingOptions.ts';
import { ExitCode, UsageError } from '../errors.ts';
import type { RunStatus, RunSummary } from '../results/types.ts';
import { endProgram, failureOf, machineFlags, startProgram, summaryOf } from './program.ts';
import type { Subcommand } from './subcommand.ts';
import {
  addLaunchOptions,
  experimentOf,
  type LaunchOptions,
  launch,
  type Training,
} from './trainingCommand.ts';

/** `codistill self`: one student that is its own teacher, without coordinator and sockets. */
export function selfCommand(): Subcommand {
  const command = createCommand('self', 'train one student that is its own teacher, without any network');
  return { command: addGpuOption(addLaunchOptions(command)), work: self };
}

async function self(command: Command): Promise<ExitCode> {
  const method = { path: ['distill', 'method'], value: 'self-ema', origin: 'codistill self' };
  const experiment = await experimentOf(command, [method]);
  const social = [...methodsIn(experiment.distill), ...experiment.compare].find((name) => asksPeers(name));
  if (social !== undefined) {
    throw new UsageError(`"${social}" learns from other peers: use it with codistill run.`);
  }
  const [student, ...others] = experiment.peers;
  if (others.length > 0 || student!.count > 1) {
    process.stderr.write(
      `codistill self trains one student: the first of the experiment, ${student!.model}.\n`,
    );
  }
  const alone = { ...experiment, peers: [{ ...student!, count: 1 }] };
  return launch(alone, command.opts<LaunchOptions>(), trainAlone);
}

async function trainAlone(training: Training): Promise<RunSummary> {
  const { folder, signal, options } = training;
  const planned = { backend: training.experiment.peers[0]!.backend, gpu: options.gpu };
  const program = await startProgram({
    name: 'self',
    entry: 'peer/self.js',
    args: [training.experimentFile, '--dir', folder, ...machineFlags(training, planned)],
    logFile: join(folder, 'self.log'),
    onMessage: (message) => training.show(message as RunStatus),
  });
  const stop = (): void => endProgram(program);
  signal.addEventListener('abort', stop, { once: true });
  const code = await program.exited;
  signal.removeEventListener('abort', stop);
  if (code !== ExitCode.ok && code !== ExitCode.unsaved && !signal.aborted) throw await failureOf(program);
  await training.noteUnsaved(program);
  return summaryOf(program, folder);
}
