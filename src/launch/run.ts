import { type Command, Option } from 'commander';
import { createCommand } from '../config/commandLine.ts';
import type { ExitCode } from '../errors.ts';
import type { Subcommand } from './subcommand.ts';
import { trainTogether } from './together.ts';
import { addLaunchOptions, experimentOf, type LaunchOptions, launch } from './trainingCommand.ts';

/** `codistill run`: a coordinator and all peers of an experiment on this machine. */
export function runCommand(): Subcommand {
  const command = createCommand(
    'run',
    'run an experiment on this machine: coordinator, peers, comparison, report',
  ).addOption(
    new Option('--port <number>', "the coordinator's port; 0 takes a free one")
      .default('0')
      .env('CODISTILL_PORT'),
  );
  return { command: addLaunchOptions(command), work: run };
}

async function run(command: Command): Promise<ExitCode> {
  const options = command.opts<LaunchOptions & { port: string }>();
  const experiment = await experimentOf(command);
  return launch(experiment, options, (training) => trainTogether(training, options.port));
}
