import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BackendError } from '../../errors.ts';
import { cachePath } from '../../paths.ts';
import { nvidiaDriver } from './nvidia.ts';

/** The newest TensorFlow that the binding was tried with. */
const VERSION = '2.21.0';

/** Everything that codistill installs by pip is below this folder, and nothing else is. */
export function pipFolder(): string {
  return cachePath('tensorflow');
}

/**
 * Installs TensorFlow for codistill alone: for the processor or, where a GPU is seen, with CUDA. Not done twice.
 *
 * @returns the folder that it is installed in
 * @throws {BackendError} when pip fails; what it said is on stderr
 */
export async function installByPip(): Promise<string> {
  const gpu = nvidiaDriver() !== null;
  const requirement = gpu ? `tensorflow[and-cuda]==${VERSION}` : `tensorflow-cpu==${VERSION}`;
  const folder = join(pipFolder(), `${VERSION}-${gpu ? 'cuda' : 'cpu'}`);
  if (existsSync(folder)) return folder;
  const unfinished = `${folder}.unfinished`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(dirname(folder), { recursive: true });
  // Only the C library is used: of what the Python package depends on, that needs CUDA's libraries at most.
  const args = ['-m', 'pip', 'install', '--target', unfinished, '--no-warn-conflicts', requirement];
  await python(gpu ? args : [...args, '--no-deps']);
  await rename(unfinished, folder);
  return folder;
}

function python(args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('python3', args, { stdio: ['ignore', 2, 2] });
    const fail = (what: string): void => reject(new BackendError(`python3 ${args.join(' ')}: ${what}.`));
    child.on('error', () => fail('there is no python3; install it with pip'));
    child.on('close', (code) => (code === 0 ? resolve() : fail(`ended with exit code ${code}`)));
  });
}
