/**
 * Times training steps on wasm: with all kernels of `src/backend/wasm`, against the stock backend with nothing but the
 * filter gradient added in its plain form, without which it cannot train a convolution at all.
 *
 *     npx tsc && node dist/test/bench/wasmStep.js
 */
import * as tf from '@tensorflow/tfjs';
import '@tensorflow/tfjs-backend-wasm';
import { loadBackend } from '../../src/backend/select.ts';
import { createModel } from '../../src/models/index.ts';

const ROUNDS = 8;
const STEPS_A_ROUND = 5;
const GROWTH_STEPS = 600;
const TARGET_RATIO = 0.35;

type Kernels = readonly tf.KernelConfig[];

/** The filter gradient tap by tap: each is the product of the shifted input, transposed, and the output's gradient. */
const naiveFilterGradient: tf.KernelConfig = {
  kernelName: tf.Conv2DBackpropFilter,
  backendName: 'wasm',
  kernelFunc({ inputs, attrs }) {
    const { strides, pad, filterShape } = attrs as unknown as tf.Conv2DBackpropFilterAttrs;
    const x = inputs.x as tf.Tensor4D;
    const dy = inputs.dy as tf.Tensor4D;
    const info = tf.backend_util.computeConv2DInfo(x.shape, filterShape, strides, 1, pad);
    const { batchSize, inChannels, outChannels, outHeight, outWidth, strideHeight, strideWidth } = info;
    const { top, bottom, left, right } = info.padInfo;
    return tf.tidy(() => {
      const padded = tf.pad(x, [
        [0, 0],
        [top, bottom],
        [left, right],
        [0, 0],
      ]);
      const gradient = tf.reshape(dy, [-1, outChannels]);
      const taps: tf.Tensor[] = [];
      for (let i = 0; i < info.filterHeight; i++) {
        for (let j = 0; j < info.filterWidth; j++) {
          const end = [
            batchSize,
            i + (outHeight - 1) * strideHeight + 1,
            j + (outWidth - 1) * strideWidth + 1,
          ];
          const seen = tf.stridedSlice(
            padded,
            [0, i, j, 0],
            [...end, inChannels],
            [1, strideHeight, strideWidth, 1],
          );
          taps.push(tf.matMul(tf.reshape(seen, [-1, inChannels]), gradient, true));
        }
      }
      return tf.reshape(tf.stack(taps), filterShape);
    });
  },
};

/** One training step of a model on a fixed batch of random images like Fashion-MNIST's. */
function createStep(name: string, batch: number, optimizer: tf.Optimizer): () => void {
  const model = createModel(name, { inputShape: [28, 28, 1], classes: 10, seed: 1 });
  const variables = [...model.parameters.values()];
  const images = tf.randomNormal<tf.Rank.R4>([batch, 28, 28, 1], 0, 1, 'float32', 2);
  const labels = tf.oneHot(tf.range(0, batch, 1, 'int32').mod(tf.scalar(10, 'int32')), 10);
  const loss = () => tf.losses.softmaxCrossEntropy(labels, model.forward(images, true).logits).asScalar();
  return () => {
    optimizer.minimize(loss, false, variables);
  };
}

function use(kernels: Kernels): void {
  for (const { kernelName } of tf.getKernelsForBackend('wasm')) tf.unregisterKernel(kernelName, 'wasm');
  for (const kernel of kernels) tf.registerKernel(kernel);
}

const registered = (): Kernels => [...tf.getKernelsForBackend('wasm')];

/** Milliseconds of each of `count` calls. */
function time(step: () => void, count: number): number[] {
  return Array.from({ length: count }, () => {
    const start = performance.now();
    step();
    return performance.now() - start;
  });
}

function quantile(times: readonly number[], share: number): number {
  const sorted = [...times].sort((a, b) => a - b);
  return sorted[Math.floor(share * (sorted.length - 1))]!;
}

function report(what: string, times: readonly number[], batch: number): number {
  const median = quantile(times, 0.5);
  const spread = `${quantile(times, 0.1).toFixed(1)}-${quantile(times, 0.9).toFixed(1)}`;
  const rate = ((batch * 1000) / median).toFixed(0);
  print(`${what}: ${median.toFixed(1)} ms a step (10-90 %: ${spread}), ${rate} images/s`);
  return median;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Size of the WebAssembly heap; absent from the declared type of the module. */
const heapBytes = () => (tf.backend() as unknown as { wasm: { HEAPU8: Uint8Array } }).wasm.HEAPU8.length;
const mebibytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

async function main(): Promise<void> {
  const stock = [...registered(), naiveFilterGradient];
  const { device } = await loadBackend('wasm');
  const pack = registered();
  print(`${device}, Node.js ${process.version}`);

  const step = createStep('cnn-s', 32, tf.train.adam(0.001));
  const times: Record<'pack' | 'stock', number[]> = { pack: [], stock: [] };
  for (const kernels of [stock, pack]) {
    use(kernels);
    time(step, 3);
  }
  for (let round = 0; round < ROUNDS; round++) {
    use(stock);
    times.stock.push(...time(step, STEPS_A_ROUND));
    use(pack);
    times.pack.push(...time(step, STEPS_A_ROUND));
  }
  const naive = report('cnn-s, batch 32, stock with naive filter gradient', times.stock, 32);
  const fast = report('cnn-s, batch 32, all kernels', times.pack, 32);
  const ratio = fast / naive;
  print(
    `ratio ${ratio.toFixed(3)}, target at most ${TARGET_RATIO}: ${ratio <= TARGET_RATIO ? 'met' : 'MISSED'}`,
  );

  // The heap settles first: it grows in steps, by what is freed in another order than it was taken.
  time(step, GROWTH_STEPS / 4);
  const [tensors, heap] = [tf.memory().numTensors, heapBytes()];
  time(step, GROWTH_STEPS);
  print(
    `growth in ${GROWTH_STEPS} steps: ${tf.memory().numTensors - tensors} tensors, ${mebibytes(heapBytes() - heap)} of heap (now ${mebibytes(heapBytes())})`,
  );

  for (const name of ['resnet8', 'mobilenetv2']) {
    const other = createStep(name, 64, tf.train.momentum(0.05, 0.9));
    time(other, 3);
    report(`${name}, batch 64, all kernels`, time(other, 15), 64);
  }
}

await main();
