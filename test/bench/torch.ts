import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { cachePath } from '../../src/paths.ts';

const VERSION = '2.13.0';

/** A Python with PyTorch: that of `$PYTHON`, or of an environment that is made, once, for the benchmarks alone. */
export function pythonWithTorch(): string {
  if (process.env.PYTHON) return process.env.PYTHON;
  const folder = cachePath('bench', `torch-${VERSION}`);
  const python = join(folder, 'bin', 'python');
  if (hasTorch(python)) return python;
  run('python3', '-m', 'venv', '--clear', folder);
  run(python, '-m', 'pip', 'install', '--quiet', `torch==${VERSION}`);
  return python;
}

function hasTorch(python: string): boolean {
  return existsSync(python) && spawnSync(python, ['-c', 'import torch'], { stdio: 'ignore' }).status === 0;
}

function run(program: string, ...args: string[]): void {
  const { status } = spawnSync(program, args, { stdio: ['ignore', 2, 2] });
  if (status !== 0) throw new Error(`${[program, ...args].join(' ')}: exit code ${status}`);
}
