import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import util from 'node:util';
import * as tf from '@tensorflow/tfjs';

/** The native binding to TensorFlow's C library, for processors and NVIDIA GPUs alike; named in no other file. */
export const PACKAGE = '@tensorflow/tfjs-node-gpu';
/** Its addon; every Node.js that codistill runs on asks for this version of the interface. */
const ADDON = join('lib', 'napi-v8', 'tfjs_binding.node');
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
    const { isUsingGpuDevice, binding } = tf.backend();
    found = { gpu: isUsingGpuDevice === true, version: String(binding?.TF_Version) };
  } catch (error) {
    found = { error: String(error?.message ?? error) };
  }
  require('node:fs').writeSync(1, '\\n' + JSON.stringify(found));
  process.exit();
`;

/** A package that loads and computes, or the reason why it does not, in one line. */
export type Inspection = { readonly gpu: boolean; readonly version: string } | { readonly reason: string };

/** The folder of the installed package, whether or not it can be loaded. */
export function packageFolder(): string | null {
  try {
    return dirname(require.resolve(`${PACKAGE}/package.json`));
  } catch {
    return null;
  }
}

/** Where the package in `folder` has its addon, or would have it: npm leaves it out when install scripts are off. */
export function addonOf(folder: string): string {
  return join(folder, ADDON);
}

/** TensorFlow otherwise takes all of the GPU's memory at once, and logs every start-up step. */
function quietSettings(): Record<string, string> {
  return {
    TF_FORCE_GPU_ALLOW_GROWTH: process.env.TF_FORCE_GPU_ALLOW_GROWTH ?? 'true',
    TF_CPP_MIN_LOG_LEVEL: process.env.TF_CPP_MIN_LOG_LEVEL ?? '2',
  };
}

const inspections = new Map<string, Promise<Inspection>>();

/** What the installed package can do here; found out once. */
export async function inspectInstalled(): Promise<Inspection> {
  const folder = packageFolder();
  if (folder === null) return { reason: `${PACKAGE} is not installed` };
  const known = inspections.get(folder) ?? inspectPackage(folder);
  inspections.set(folder, known);
  return known;
}

/**
 * Loads the package in a process of its own: a processor without AVX or a broken driver ends or hangs that process, and
 * a package that fails to load leaves half of its kernels registered there.
 *
 * @param folder of the package
 */
export function inspectPackage(folder: string, limitMs: number = PROBE_LIMIT_MS): Promise<Inspection> {
  if (!existsSync(addonOf(folder))) {
    return Promise.resolve({ reason: `${PACKAGE} is installed without its native addon` });
  }
  return new Promise((resolve) => {
    const environment = { ...process.env, ...quietSettings() };
    execFile(
      process.execPath,
      ['-e', PROBE_PROGRAM, folder],
      { timeout: limitMs, killSignal: 'SIGKILL', env: environment },
      (error, stdout, stderr) => {
        if (error?.killed) {
          resolve({ reason: `${PACKAGE} did not start within ${limitMs / 1000} s` });
        } else if (error) {
          const end = error.signal ? `by ${error.signal}` : `with exit code ${error.code}`;
          const said = firstLine(stderr);
          resolve({ reason: `${PACKAGE} ended its process ${end}${said && `: ${said}`}` });
        } else {
          resolve(judge(stdout));
        }
      },
    );
  });
}

/** Judges by the last line of what the child process printed. */
function judge(output: string): Inspection {
  let found: { gpu?: boolean; version?: string; error?: string };
  try {
    found = JSON.parse(output.slice(output.lastIndexOf('\n') + 1));
  } catch {
    return { reason: `${PACKAGE} ended its process without an answer` };
  }
  const { gpu = false, version = 'unknown', error } = found;
  return error === undefined ? { gpu, version } : { reason: `${PACKAGE} does not load: ${firstLine(error)}` };
}

function firstLine(text: string): string {
  return text.trim().split('\n', 1)[0]!.trim().replace(/\.$/, '');
}

/**
 * Loads the installed package, and makes it the backend of this process.
 *
 * @returns the version of its TensorFlow
 */
export async function loadPackage(): Promise<string> {
  Object.assign(process.env, quietSettings());
  restoreRemovedUtilities();
  const { argv } = process;
  // The package's loader reads this process's arguments: it would take `--dir` for the folder of the package.
  process.argv = argv.slice(0, 2);
  try {
    require(PACKAGE);
  } finally {
    process.argv = argv;
  }
  await tf.setBackend('tensorflow');
  return (tf.backend() as unknown as { binding: { TF_Version: string } }).binding.TF_Version;
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
