import { availableParallelism } from 'node:os';
import { inspectInstalled, loadPackage } from './tensorflow/package.ts';
import type { Backend } from './types.ts';

/** TensorFlow's C library on the processor: the same binding and kernels as on a GPU. */
export const tfjsNode: Backend = {
  name: 'tfjs-node',
  automatic: true,
  remedy: 'codistill install-tensorflow --pip',
  async probe() {
    const found = await inspectInstalled();
    return 'reason' in found ? { usable: false, reason: found.reason } : { usable: true };
  },
  async load() {
    // A GPU has a backend of its own, and must not be used under this name.
    process.env.CUDA_VISIBLE_DEVICES = '-1';
    const version = await loadPackage();
    const threads = Number(process.env.TF_NUM_INTRAOP_THREADS) || availableParallelism();
    return `CPU, TensorFlow ${version}, ${threads} thread${threads === 1 ? '' : 's'}`;
  },
};
