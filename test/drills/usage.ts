import { getHeapCodeStatistics } from 'node:v8';

/**
 * Loaded before a program, tells its drill, when that asks, what it holds after everything that nobody needs is gone.
 * `DRILL_TENSORS`: it has tensors. Node.js needs --expose-gc.
 */
export interface Usage {
  /** Of the JavaScript heap and of buffers, in MiB; without compiled code, of which V8 goes on making more. */
  readonly liveMiB: number;
  /** 0 where it has none. */
  readonly tensors: number;
}

// A coordinator must not load what it does not have.
const tf = process.env.DRILL_TENSORS ? await import('@tensorflow/tfjs') : null;

process.on('message', (message) => {
  if (message !== 'usage') return;
  globalThis.gc!();
  const { heapUsed, external } = process.memoryUsage();
  const code = getHeapCodeStatistics();
  const compiled = code.code_and_metadata_size + code.bytecode_and_metadata_size;
  const usage: Usage = {
    liveMiB: (heapUsed + external - compiled) / 2 ** 20,
    tensors: tf?.memory().numTensors ?? 0,
  };
  process.send?.({ usage });
});
process.channel?.unref();
