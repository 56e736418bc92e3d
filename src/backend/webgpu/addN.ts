import * as tf from '@tensorflow/tfjs';

/**
 * Lets `tf.addN` take any number of tensors. The stock kernel binds all of them and the result to one shader: beyond
 * the number of buffers that a GPU lets a shader have, that fails, and what it returns is wrong.
 *
 * @param mostBuffers of a shader, 8 unless the device was asked for more
 */
export function registerAddN(mostBuffers: number): void {
  const most = mostBuffers - 1;
  const stock = tf.getKernel(tf.AddN, 'webgpu')!;
  tf.unregisterKernel(tf.AddN, 'webgpu');
  tf.registerKernel({
    ...stock,
    kernelFunc(call) {
      const terms = Object.values(call.inputs) as tf.Tensor[];
      if (terms.length <= most) return stock.kernelFunc(call);
      const groups = Array.from({ length: Math.ceil(terms.length / most) }, (_, i) =>
        terms.slice(i * most, (i + 1) * most),
      );
      return tf.tidy(() => tf.addN(groups.map((group) => tf.addN(group))));
    },
  });
}
