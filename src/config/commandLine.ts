import { Command } from 'commander';
import { ExitCode } from '../errors.ts';

/** A command whose `--help` ends with 0, and whose wrong usage ends with the documented exit code. */
export function createCommand(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .configureHelp({ helpWidth: Math.min(process.stdout.columns ?? 110, 110) })
    .showHelpAfterError('Run it with --help for all options.')
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? ExitCode.ok : ExitCode.usage));
}
