import { type Command, InvalidArgumentError, Option } from 'commander';
import { LOG_LEVELS } from '../logger.ts';
import { BACKENDS } from './schema.ts';

/** What every program that trains or evaluates can be told about the machine it is on. */
export interface TrainingOptions {
  readonly backend: string;
  /** Not of commands that start several peers. */
  readonly gpu?: string;
  readonly dataDir?: string;
  readonly download: boolean;
}

export function addTrainingOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        '--backend <name>',
        'what computes; auto: the best that works; node: TensorFlow, with a GPU if one works',
      )
        .choices(BACKENDS)
        .default('auto')
        .env('CODISTILL_BACKEND'),
    )
    .addOption(
      new Option('--data-dir <folder>', 'folder with the files of the dataset').env('CODISTILL_DATA_DIR'),
    )
    .addOption(
      withSwitch(
        new Option('--download', 'download the full dataset when it is not on this machine').default(false),
        'CODISTILL_DOWNLOAD',
      ),
    );
}

function cardArgument(text: string): string {
  if (text.trim() !== '') return text.trim();
  throw new InvalidArgumentError('Expected a number, a UUID or part of a name.');
}

/** Commander takes a switch's variable for "on" whatever its value is: those that say "off" are not looked at. */
export function withSwitch(option: Option, variable: string): Option {
  const off = ['', '0', 'false', 'no'].includes((process.env[variable] ?? 'unset').toLowerCase());
  return off ? option : option.env(variable);
}

/** Which GPU a process computes on. */
export function addGpuOption(command: Command): Command {
  return command.addOption(
    new Option(
      '--gpu <card>',
      'number, UUID or part of the name of the GPU to compute on; nothing else will do',
    )
      .argParser(cardArgument)
      .env('CODISTILL_GPU'),
  );
}

/** Where a program's results go, and how much it says on the way. */
export function addOutputOptions(command: Command, dirDescription: string): Command {
  return command
    .addOption(new Option('--dir <folder>', dirDescription).env('CODISTILL_DIR'))
    .addOption(
      new Option('--log-level <level>', 'how much the log says')
        .choices(LOG_LEVELS)
        .default('info')
        .env('CODISTILL_LOG_LEVEL'),
    );
}
