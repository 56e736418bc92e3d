import { spawn } from 'node:child_process';
import { ExitCode } from '../errors.ts';
import { programPath } from '../paths.ts';
import { stopOnSignals } from '../program.ts';

/**
 * Runs a program in the place of this process: its input, output and signals are those of this one.
 *
 * @param entry such as `peer/main.js`
 * @returns its exit code
 */
export async function delegate(entry: string, args: readonly string[]): Promise<ExitCode> {
  const stop = stopOnSignals();
  const child = spawn(process.execPath, [programPath(entry), ...args], {
    // The channel tells the program when this process is gone; a group of its own keeps Ctrl-C from reaching it twice.
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    detached: true,
  });
  stop.signal.addEventListener('abort', () => {
    child.kill(stop.exitCode() === ExitCode.interrupted ? 'SIGINT' : 'SIGTERM');
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => resolve((code ?? ExitCode.internal) as ExitCode));
  });
}
