import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import util from 'node:util';
import * as tf from '@tensorflow/tfjs';
import type { Backend, Probe } from './types.ts';

/** The native binding to TensorFlow for CUDA: an optional dependency, named in no other file. */
const PACKAGE = '@tensorflow/tfjs-node-gpu';
const ADDON = 'tfjs_binding.node';
/** Long enough for CUDA to start and to compile its first kernel for a GPU newer than the library. */
const PROBE_LIMIT_MS = 120_000;

const require = createRequire(import.meta.url);

/**
 * What the child process runs: loads the package in the folder `process.argv[1]`, computes once, and prints what it
 * found as the last line. A GPU that is too new for the library is only noticed by computing on it.
 */
const PROBE_PROGRAM = `
  const util = require('node:util');
  util.isNullOrUndefined ??= (value) => value == null;
  util.isArray ??= Array.isArray;
  let found;
  try {
    const tf = require(process.argv[1]);
    tf.add(1, 2).dataSync();
    found = { gpu: tf.backend().isUsingGpuDevice === true };
  } catch (error) {
    found = { error: String(error?.message ?? error) };
  }
  require('node:fs').writeSync(1, '\\n' + JSON.stringify(found));
  process.exit();
`;

interface Found {
  readonly gpu?: boolean;
  readonly error?: string;
}

/** The folder of the installed package, whether or not it can be loaded. */
function installedFolder(): string | null {
  try {
    return dirname(require.resolve(`${PACKAGE}/package.json`));
  } catch {
    return null;
  }
}

/** npm leaves the package without its addon when install scripts are off; then there is nothing to run. */
function hasAddon(folder: string): boolean {
  const lib = join(folder, 'lib');
  return existsSync(lib) && readdirSync(lib).some((abi) => existsSync(join(lib, abi, ADDON)));
}

function refuse(reason: string): Probe {
  return { usable: false, reason };
}

function firstLine(text: string): string {
  return text.trim().split('\n', 1)[0]!.trim().replace(/\.$/, '');
}

/** TensorFlow otherwise takes all of the GPU's memory at once, and logs every start-up step. */
function settings(): Record<'TF_FORCE_GPU_ALLOW_GROWTH' | 'TF_CPP_MIN_LOG_LEVEL', string> {
  return {
    TF_FORCE_GPU_ALLOW_GROWTH: process.env.TF_FORCE_GPU_ALLOW_GROWTH ?? 'true',
    TF_CPP_MIN_LOG_LEVEL: process.env.TF_CPP_MIN_LOG_LEVEL ?? '2',
  };
}

/**
 * Loads the package in a process of its own: a processor without AVX or a broken driver ends or hangs that process, and
 * a package that fails to load leaves half of its kernels registered there.
 *
 * @param folder of the package
 */
export function probePackage(folder: string, limitMs: number = PROBE_LIMIT_MS): Promise<Probe> {
  if (!hasAddon(folder)) {
    return Promise.resolve(refuse(`${PACKAGE} is installed without its native addon (${ADDON})`));
  }
  return new Promise((resolve) => {
    const environment = { ...process.env, ...settings() };
    execFile(
      process.execPath,
      ['-e', PROBE_PROGRAM, folder],
      { timeout: limitMs, killSignal: 'SIGKILL', env: environment },
      (error, stdout, stderr) => {
        if (error?.killed) {
          resolve(refuse(`${PACKAGE} did not start within ${limitMs / 1000} s`));
        } else if (error) {
          const end = error.signal ? `by ${error.signal}` : `with exit code ${error.code}`;
          const said = firstLine(stderr);
          resolve(refuse(`${PACKAGE} ended its process ${end}${said && `: ${said}`}`));
        } else {
          resolve(judge(stdout));
        }
      },
    );
  });
}

/** Judges by the last line of what the child process printed. */
function judge(output: string): Probe {
  let found: Found;
  try {
    found = JSON.parse(output.slice(output.lastIndexOf('\n') + 1)) as Found;
  } catch {
    return refuse(`${PACKAGE} ended its process without an answer`);
  }
  const { gpu, error } = found;
  if (error !== undefined) return refuse(`${PACKAGE} does not load: ${firstLine(error)}`);
  return gpu ? { usable: true } : refuse('TensorFlow found no GPU that it can use');
}

/** The package calls two functions that Node.js 23 removed. */
function restoreRemovedUtilities(): void {
  const legacy = util as {
    isNullOrUndefined?: (value: unknown) => boolean;
    isArray?: (value: unknown) => boolean;
  };
  legacy.isNullOrUndefined ??= (value) => value === null || value === undefined;
  legacy.isArray ??= Array.isArray;
}

/** TensorFlow's C library on an NVIDIA GPU. */
export const tfjsNodeGpu: Backend = {
  name: 'tfjs-node-gpu',
  automatic: true,
  remedy: `on a machine with an NVIDIA GPU, CUDA 11 and cuDNN 8: npm rebuild ${PACKAGE} --ignore-scripts=false`,
  async probe() {
    const folder = installedFolder();
    return folder ? probePackage(folder) : refuse(`${PACKAGE} is not installed`);
  },
  async load() {
    Object.assign(process.env, settings());
    restoreRemovedUtilities();
    require(PACKAGE);
    await tf.setBackend('tensorflow');
    return 'CUDA GPU, TensorFlow C library';
  },
};
