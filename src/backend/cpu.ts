import * as tf from '@tensorflow/tfjs';
import '@tensorflow/tfjs-backend-cpu';
import type { Backend } from './types.ts';

/** Plain JavaScript, some hundred times slower than wasm: the reference that tests compare with. */
export const cpu: Backend = {
  name: 'cpu',
  automatic: false,
  usesGpu: false,
  async probe() {
    return { usable: true };
  },
  async load() {
    await tf.setBackend('cpu');
    return 'plain JavaScript, 1 thread';
  },
};
