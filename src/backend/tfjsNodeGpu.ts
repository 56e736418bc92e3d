import { inspectInstalled, loadPackage, PACKAGE } from './tensorflow/package.ts';
import type { Backend } from './types.ts';

/** TensorFlow's C library on an NVIDIA GPU. */
export const tfjsNodeGpu: Backend = {
  name: 'tfjs-node-gpu',
  automatic: true,
  remedy: `on a machine with an NVIDIA GPU: codistill install-tensorflow --pip, or with CUDA 11 and cuDNN 8: npm rebuild ${PACKAGE} --ignore-scripts=false`,
  async probe() {
    const found = await inspectInstalled();
    if ('reason' in found) return { usable: false, reason: found.reason };
    return found.gpu
      ? { usable: true }
      : { usable: false, reason: 'TensorFlow found no GPU that it can use' };
  },
  async load() {
    return `CUDA GPU, TensorFlow ${await loadPackage()}`;
  },
};
