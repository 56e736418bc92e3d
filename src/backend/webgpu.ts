import * as tf from '@tensorflow/tfjs';
import type { Backend } from './types.ts';
import { registerAddN } from './webgpu/addN.ts';
import { exposeGpu } from './webgpu/dawn.ts';
import { findAdapter } from './webgpu/findAdapter.ts';
import { type WatchedDevice, watchDevice } from './webgpu/watchDevice.ts';

interface GpuDevice extends WatchedDevice {
  readonly limits: { readonly maxStorageBuffersPerShaderStage: number };
}

const adapters = new Map<string | undefined, ReturnType<typeof findAdapter>>();

/** The adapter to compute on; looked for once, in a process of its own. */
function adapterFor(gpu: string | undefined): ReturnType<typeof findAdapter> {
  const known = adapters.get(gpu) ?? findAdapter(gpu);
  adapters.set(gpu, known);
  return known;
}

/** Any GPU with a Vulkan, Metal or Direct3D 12 driver, by WebGPU; its reads are asynchronous only. */
export const webgpu: Backend = {
  name: 'webgpu',
  automatic: true,
  usesGpu: true,
  async probe(gpu) {
    const found = await adapterFor(gpu);
    return 'usable' in found ? found : { usable: true };
  },
  async load(gpu) {
    const adapter = await adapterFor(gpu);
    if ('usable' in adapter) throw new Error(adapter.reason);
    await exposeGpu(adapter.name);
    // It looks for the GPU when it is imported.
    await import('@tensorflow/tfjs-backend-webgpu');
    if (!(await tf.setBackend('webgpu'))) throw new Error('WebGPU could not be initialised');
    const { device } = tf.backend() as unknown as { device: GpuDevice };
    watchDevice(device);
    registerAddN(device.limits.maxStorageBuffersPerShaderStage);
    return `${adapter.name}, driver ${adapter.driver}`;
  },
};
