import { CodistillError, ExitCode, messageOf } from './errors.ts';

/**
 * Runs a program's work to its end and leaves with the documented exit code. Errors meant for people are one line on
 * stderr; others, which are faults of codistill, come with their stack. A stderr that cannot be written ends nothing.
 */
export async function runProgram(work: () => Promise<ExitCode>): Promise<void> {
  process.stderr.on('error', () => {});
  try {
    process.exitCode = await work();
  } catch (error) {
    const known = error instanceof CodistillError;
    const text = known || !(error instanceof Error) ? messageOf(error) : (error.stack ?? error.message);
    process.stderr.write(`${known ? 'Error' : 'internal error'}: ${text}\n`);
    process.exitCode = known ? error.exitCode : ExitCode.internal;
  }
}

export interface StopSignal {
  readonly signal: AbortSignal;
  /** The exit code of a program that was stopped in this way. */
  readonly exitCode: () => ExitCode;
}

/**
 * SIGINT and SIGTERM, and the end of a launcher that started this program with a channel, ask a program to save its work and leave: with code 130 for the first, 0 for the second, as
 * schedulers expect of a drained process. A second one ends it at once.
 */
export function stopOnSignals(): StopSignal {
  const controller = new AbortController();
  let exitCode: ExitCode = ExitCode.interrupted;
  const stop = (name: 'SIGINT' | 'SIGTERM'): void => {
    if (controller.signal.aborted) process.exit(ExitCode.interrupted);
    exitCode = name === 'SIGINT' ? ExitCode.interrupted : ExitCode.ok;
    controller.abort();
  };
  process.on('SIGINT', () => stop('SIGINT'));
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('disconnect', () => stop('SIGTERM'));
  process.channel?.unref();
  return { signal: controller.signal, exitCode: () => exitCode };
}
