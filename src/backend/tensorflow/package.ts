import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import util from 'node:util';
import * as tf from '@tensorflow/tfjs';

/** The native binding to TensorFlow's C library, for processors and NVIDIA GPUs alike; named in no other file. */
export const PACKAGE = '@tensorflow/tfjs-node-gpu';
/** Its addon; every Node.js that codistill runs on asks for this version of the interface. */
const ADDON = join('lib', 'napi-v8', 'tfjs_binding.node');
const require = createRequire(import.meta.url);

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

/**
 * Variables that TensorFlow reads when it is loaded, unless the user has set them. It otherwise takes all of a GPU's
 * memory at once, numbers the cards by their speed, and logs every start-up step.
 *
 * @param gpu number or UUID of the only card to be seen
 */
export function environmentFor(gpu?: string): Record<string, string> {
  const unlessSet = {
    TF_FORCE_GPU_ALLOW_GROWTH: 'true',
    TF_CPP_MIN_LOG_LEVEL: '2',
    CUDA_DEVICE_ORDER: 'PCI_BUS_ID',
  };
  const settings = Object.entries(unlessSet).map(([name, value]) => [name, process.env[name] ?? value]);
  return { ...Object.fromEntries(settings), ...(gpu !== undefined && { CUDA_VISIBLE_DEVICES: gpu }) };
}

/**
 * Loads the installed package, and makes it the backend of this process.
 *
 * @param gpu number or UUID of the only card to be seen
 * @returns the version of its TensorFlow
 */
export async function loadPackage(gpu?: string): Promise<string> {
  Object.assign(process.env, environmentFor(gpu));
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
