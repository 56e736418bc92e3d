/**
 * Times what it costs to split a pass in two, so that an exchange can lie in between: gradients by `vjp`, of the network
 * and then of the loss, as a peer takes them, against TensorFlow.js's own gradients of both at once. The two take turns,
 * in alternating order; the overhead is the median over the pairs.
 *
 *     npx tsc && node dist/test/bench/vjpOverhead.js [backends, such as wasm,tfjs-node,cpu]
 */
import * as tf from '@tensorflow/tfjs';
import { loadBackend } from '../../src/backend/select.ts';
import { crossEntropy } from '../../src/distill/crossEntropy.ts';
import { messageOf } from '../../src/errors.ts';
import { createModel } from '../../src/models/index.ts';
import { vjp } from '../../src/training/vjp.ts';
import { writeResults } from './results.ts';
import { medianInterval, type Spread, spreadOf } from './statistics.ts';

const BACKENDS = process.argv[2]?.split(',') ?? ['wasm', 'tfjs-node', 'cpu'];
const MODELS = ['mlp', 'cnn-s', 'resnet8'];
const INPUT_SHAPE = [32, 32, 3] as const;
const CLASSES = 10;
/** Pairs, however long they take, and time for more of them. */
const LEAST_PAIRS = 10;
const MOST_PAIRS = 600;
const TIME_MS = 7_000;
const AIM_PERCENT = 3;

/** One image on the reference, and where only a software adapter of WebGPU may be there: both are slow. */
const batchOn = (backend: string): number => (backend === 'cpu' || backend === 'webgpu' ? 1 : 64);

type Gradients = () => Promise<void>;

/** The two ways to the gradients of the same loss; each reads the loss, and frees all that it made. */
function createContenders(
  name: string,
  batch: number,
): { plain: Gradients; split: Gradients; dispose(): void } {
  const model = createModel(name, { inputShape: INPUT_SHAPE, classes: CLASSES, seed: 1 });
  const variables = [...model.parameters.values()];
  const images = tf.randomNormal<tf.Rank.R4>([batch, ...INPUT_SHAPE], 0, 1, 'float32', 1);
  const labels = tf.tensor1d(
    Array.from({ length: batch }, (_, i) => i % CLASSES),
    'int32',
  );
  const logitsOf = () => model.forward(images, true).logits;
  const lossOf = (logits: tf.Tensor2D) => tf.mean(crossEntropy(logits, labels)).asScalar();
  return {
    async plain() {
      const { value, grads } = tf.variableGrads(() => lossOf(logitsOf()), variables);
      await value.data();
      tf.dispose([value, grads]);
    },
    async split() {
      const network = vjp(() => [logitsOf()], variables);
      const logits = network.outputs[0] as tf.Tensor2D;
      const loss = vjp(() => [lossOf(logits)], [logits]);
      await loss.outputs[0]!.data();
      const one = tf.scalar(1);
      const cotangents = loss.backward([one]);
      const gradients = network.backward(cotangents);
      tf.dispose([one, ...cotangents, ...gradients].filter((tensor) => tensor !== null));
    },
    dispose() {
      model.dispose();
      tf.dispose([images, labels]);
    },
  };
}

async function time(gradients: Gradients): Promise<number> {
  const startedAt = performance.now();
  await gradients();
  return performance.now() - startedAt;
}

interface Result {
  readonly backend: string;
  readonly device: string;
  readonly model: string;
  readonly batch: number;
  readonly plainMs: Spread;
  readonly vjpMs: Spread;
  /** Of the pairs, and the interval that their median lies in with 95 % confidence. */
  readonly overheadPercent: number;
  readonly interval: readonly [low: number, high: number];
}

async function measure(backend: string, device: string, model: string): Promise<Result> {
  const batch = batchOn(backend);
  const { plain, split, dispose } = createContenders(model, batch);
  const times: { plain: number[]; split: number[] } = { plain: [], split: [] };
  for (let i = 0; i < 3; i++) {
    await plain();
    await split();
  }
  const startedAt = performance.now();
  const goOn = (pairs: number): boolean =>
    pairs < LEAST_PAIRS || (pairs < MOST_PAIRS && performance.now() - startedAt < TIME_MS);
  for (let pair = 0; goOn(pair); pair++) {
    if (pair % 2 === 0) times.plain.push(await time(plain));
    times.split.push(await time(split));
    if (pair % 2 === 1) times.plain.push(await time(plain));
  }
  dispose();
  const overheads = times.split.map((ms, i) => (ms / times.plain[i]! - 1) * 100);
  return {
    ...{ backend, device, model, batch, plainMs: spreadOf(times.plain), vjpMs: spreadOf(times.split) },
    overheadPercent: spreadOf(overheads).median,
    interval: medianInterval(overheads),
  };
}

function line({ backend, model, batch, plainMs, vjpMs, overheadPercent, interval }: Result): string {
  const percent = (value: number): string => `${value >= 0 ? '+' : ''}${value.toFixed(1)} %`;
  return [
    `${backend}, ${model}, batch ${batch}: ${percent(overheadPercent)} (${interval.map(percent).join(' to ')})`,
    `${plainMs.median.toFixed(2)} ms plain, ${vjpMs.median.toFixed(2)} ms by vjp, ${vjpMs.count} pairs`,
    `aim at most ${AIM_PERCENT} %: ${overheadPercent <= AIM_PERCENT ? 'met' : 'MISSED'}`,
  ].join('; ');
}

const results: Result[] = [];
for (const backend of BACKENDS) {
  try {
    // A software adapter of WebGPU has to be named.
    const gpu = backend === 'webgpu' ? process.env.CODISTILL_GPU : undefined;
    const { device } = await loadBackend(backend, gpu);
    for (const model of MODELS) {
      const result = await measure(backend, device, model);
      results.push(result);
      process.stdout.write(`${line(result)}\n`);
    }
  } catch (error) {
    process.stdout.write(`${backend}: left out: ${messageOf(error)}\n`);
  }
}
await writeResults('vjpOverhead', { tfjs: tf.version_core, aimPercent: AIM_PERCENT, results });
