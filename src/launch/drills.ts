import { existsSync } from 'node:fs';
import { Command } from 'commander';
import { type ExitCode, UsageError } from '../errors.ts';
import { programPath } from '../paths.ts';
import { delegate } from './delegate.ts';
import type { Subcommand } from './subcommand.ts';

const ENTRY = 'test/drills/main.js';

/** `codistill drills`: breaks runs on purpose. A program of its own, which reads its options itself. */
export function drillsCommand(): Subcommand {
  const command = new Command('drills')
    .description('break runs on purpose, on this machine, and tell which promises held')
    .helpOption(false)
    .allowUnknownOption()
    .argument('[arguments...]', 'see codistill drills --help');
  return { command, work: drills };
}

async function drills({ args }: Command): Promise<ExitCode> {
  if (!existsSync(programPath(ENTRY))) {
    throw new UsageError(
      `The drills are not part of this package, as they are tests: run them in a clone of the repository, after npm run build.`,
    );
  }
  return delegate(ENTRY, args);
}
