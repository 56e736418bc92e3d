import type { Command } from 'commander';
import type { ExitCode } from '../errors.ts';

/** One of the words after `codistill`. */
export interface Subcommand {
  readonly command: Command;
  /** Does the work of the parsed command. */
  readonly work: (command: Command) => Promise<ExitCode>;
}
