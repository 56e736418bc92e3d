import { type Command, Option } from 'commander';
import { createCommand } from '../config/commandLine.ts';
import { peerNames } from '../config/peers.ts';
import type { ExitCode } from '../errors.ts';
import { ANY_CARD, dealCards } from './cards.ts';
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
  command.addOption(
    new Option('--gpus <list>', 'GPUs to deal to the peers: numbers, UUIDs or names, such as 0,1').env(
      'CODISTILL_GPUS',
    ),
  );
  return { command: addLaunchOptions(command), work: run };
}

async function run(command: Command): Promise<ExitCode> {
  const options = command.opts<LaunchOptions & { port: string; gpus?: string }>();
  const experiment = await experimentOf(command);
  const { gpus, backend, port } = options;
  const cards = gpus === undefined ? ANY_CARD : dealCards(gpus, peerNames(experiment), backend);
  if (cards.warning !== null) process.stderr.write(`${cards.warning}\n`);
  return launch(experiment, options, (training) => trainTogether(training, port, cards));
}
