import { availableParallelism } from 'node:os';
import { inspectInstalled } from './tensorflow/inspect.ts';
import { registerTensorflowKernels } from './tensorflow/kernels.ts';
import { loadPackage } from './tensorflow/package.ts';
import type { Backend } from './types.ts';

/** Of all cards, TensorFlow then sees none. */
const NO_GPU = '-1';

/** TensorFlow's C library on the processor: the same binding and kernels as on a GPU. */
export const tfjsNode: Backend = {
  name: 'tfjs-node',
  automatic: true,
  usesGpu: false,
  async probe() {
    // A broken GPU is no reason against the processor.
    const found = await inspectInstalled(NO_GPU);
    return 'usable' in found ? found : { usable: true };
  },
  async load() {
    // A GPU has a backend of its own, and must not be used under this name.
    const version = await loadPackage(NO_GPU);
    registerTensorflowKernels({ onGpu: false });
    const threads = Number(process.env.TF_NUM_INTRAOP_THREADS) || availableParallelism();
    return `CPU, TensorFlow ${version}, ${threads} thread${threads === 1 ? '' : 's'}`;
  },
};
