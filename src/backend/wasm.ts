import * as tf from '@tensorflow/tfjs';
import { getThreadsCount } from '@tensorflow/tfjs-backend-wasm';
import type { Backend } from './types.ts';
import { registerWasmKernels } from './wasm/register.ts';

const PROCESS_EVENTS = ['uncaughtException', 'unhandledRejection'] as const;

/**
 * Runs `initialise`, then removes the process-wide error handlers it added. Emscripten's loader installs handlers that
 * throw again, and so end the process with exit code 7 whatever this program's own handlers decide.
 */
async function withoutNewErrorHandlers(initialise: () => Promise<unknown>): Promise<void> {
  const before = new Map(PROCESS_EVENTS.map((event) => [event, new Set(process.rawListeners(event))]));
  try {
    await initialise();
  } finally {
    for (const [event, known] of before) {
      for (const listener of process.rawListeners(event)) {
        if (!known.has(listener)) process.removeListener(event, listener as () => void);
      }
    }
  }
}

/** XNNPACK compiled to WebAssembly, with the gradient kernels that it lacks: works on every machine. */
export const wasm: Backend = {
  name: 'wasm',
  automatic: true,
  usesGpu: false,
  async probe() {
    if (typeof WebAssembly === 'object') return { usable: true };
    const remedy = 'start Node.js without --jitless';
    return { usable: false, reason: 'this Node.js was started without WebAssembly', remedy };
  },
  async load() {
    registerWasmKernels();
    await withoutNewErrorHandlers(async () => {
      if (!(await tf.setBackend('wasm'))) throw new Error('the wasm module could not be initialised');
    });
    const simd = await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT');
    const threads = getThreadsCount();
    return `wasm${simd ? ' SIMD' : ''}, ${threads} thread${threads === 1 ? '' : 's'}`;
  },
};
