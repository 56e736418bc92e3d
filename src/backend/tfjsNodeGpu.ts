import { inspectInstalled } from './tensorflow/inspect.ts';
import { registerTensorflowKernels } from './tensorflow/kernels.ts';
import { nvidiaDriver } from './tensorflow/nvidia.ts';
import { loadPackage } from './tensorflow/package.ts';
import type { Backend } from './types.ts';

/** TensorFlow's C library on an NVIDIA GPU. */
export const tfjsNodeGpu: Backend = {
  name: 'tfjs-node-gpu',
  automatic: true,
  usesGpu: true,
  async probe(gpu) {
    if (process.platform === 'linux' && nvidiaDriver() === null) {
      const remedy = 'with an NVIDIA card: install its driver';
      return { usable: false, reason: "NVIDIA's driver is not loaded here", remedy };
    }
    const found = await inspectInstalled(gpu);
    return 'usable' in found ? found : (found.noGpu ?? { usable: true });
  },
  async load(gpu) {
    const version = await loadPackage(gpu);
    registerTensorflowKernels({ onGpu: true });
    const { cards = [], version: driver } = nvidiaDriver() ?? {};
    // Of several visible cards, the binding uses the last one.
    const visible = process.env.CUDA_VISIBLE_DEVICES?.split(',').at(-1);
    const card = cards[visible === undefined ? cards.length - 1 : Number(visible)];
    return `${card ?? 'CUDA GPU'}, driver ${driver ?? 'unknown'}, TensorFlow ${version}`;
  },
};
