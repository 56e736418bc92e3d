import * as tf from '@tensorflow/tfjs';
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';

/** What a kernel of the pack is called with. */
export interface KernelCall {
  readonly inputs: Readonly<Record<string, tf.Tensor>>;
  readonly attrs: unknown;
  readonly backend: BackendWasm;
  /** Runs the kernel that was registered before, on the same inputs. */
  readonly stock: () => tf.TensorInfo;
}

/** A kernel that is added to the wasm backend, or put in front of the one that is there. */
export interface KernelPatch {
  readonly name: string;
  /** May call TensorFlow.js operations inside `tf.tidy`: no gradient is recorded while a kernel runs. */
  readonly run: (call: KernelCall) => tf.TensorInfo;
}

/**
 * Registers a kernel with the wasm backend. A stock kernel binds its C++ function in its set-up function, so this is
 * passed on: without it `stock()` would call an undefined function.
 */
export function installKernel({ name, run }: KernelPatch): void {
  const stock = tf.getKernel(name, 'wasm') as tf.KernelConfig | undefined;
  if (stock) tf.unregisterKernel(name, 'wasm');
  tf.registerKernel({
    kernelName: name,
    backendName: 'wasm',
    ...(stock?.setupFunc && { setupFunc: stock.setupFunc }),
    ...(stock?.disposeFunc && { disposeFunc: stock.disposeFunc }),
    kernelFunc: (call) =>
      run({
        // The engine hands its kernels tensors; their type only promises less.
        inputs: call.inputs as Record<string, tf.Tensor>,
        attrs: call.attrs,
        backend: call.backend as BackendWasm,
        stock: () => {
          if (!stock) throw new Error(`internal: the wasm backend has no kernel ${name} of its own`);
          return stock.kernelFunc(call) as tf.TensorInfo;
        },
      }),
  });
}

/** A new float32 tensor of the wasm backend whose values are not set yet. */
export function allocate(backend: BackendWasm, shape: readonly number[]): tf.Tensor {
  return tf.engine().makeTensorFromTensorInfo(backend.makeOutput([...shape], 'float32'));
}

/**
 * The values of a float32 tensor inside the heap, not a copy. Valid until the next allocation, which may move the
 * heap: allocate first, then ask for the views.
 */
export function heapView(backend: BackendWasm, tensor: tf.TensorInfo): Float32Array {
  return backend.typedArrayFromHeap(tensor) as Float32Array;
}

/** The greatest power of two that divides `n`, but at most `limit`, itself a power of two. */
export function powerOfTwoDivisor(n: number, limit: number): number {
  let power = 1;
  while (power < limit && n % (power * 2) === 0) power *= 2;
  return power;
}
