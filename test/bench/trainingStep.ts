/**
 * Times a training step (forward, backward, update) on this machine's processor, against the same step in PyTorch:
 * the same networks, weights and batch, 64 images of 32x32x3 in ten classes, SGD with Nesterov momentum and weight decay.
 * That the work is the same is checked first: number of parameters, logits, and the loss over several steps.
 *
 * Each contender is a process of its own; they take turns, so that what disturbs the machine disturbs all of them.
 * Needs a linked TensorFlow (`codistill install-tensorflow --pip`) and python3; installs PyTorch by itself.
 *
 *     npx tsc && node dist/test/bench/trainingStep.js [models]
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import Table from 'cli-table3';
import { loadBackend } from '../../src/backend/select.ts';
import { createModel } from '../../src/models/index.ts';
import { programPath, projectRoot } from '../../src/paths.ts';
import { createRandom } from '../../src/random.ts';
import { readVariables, weightsOf } from '../../src/training/modelWeights.ts';
import { encodeSafetensors, type SafeTensor } from '../../src/training/safetensors.ts';
import { writeResults } from './results.ts';
import { type Spread, spreadOf } from './statistics.ts';
import { pythonWithTorch } from './torch.ts';
import type { LoadAnswer, StepsAnswer } from './trainingStepWorker.ts';
import { startWorker, type Worker } from './worker.ts';

const MODELS = process.argv[2]?.split(',') ?? ['cnn-s', 'resnet8', 'wrn-16-2'];
const BATCH = 64;
const INPUT_SHAPE = [32, 32, 3] as const;
const CLASSES = 10;
/** Steps in which the losses must agree; also the warm-up. */
const CHECKED_STEPS = 4;
const ROUNDS = 8;
/** A turn of one contender takes this many milliseconds, or one step. */
const TURN_MS = 400;
/** Largest difference to the first contender, relative to the largest value: sums run in another order in each. */
const TOLERANCE = 2e-3;

interface Contender {
  readonly name: 'tfjs-node' | 'wasm' | 'PyTorch';
  readonly threads: 1 | 2;
  /** Of PyTorch's tensors. */
  readonly layout?: 'contiguous' | 'channels_last';
  /** The most that the ratio to PyTorch is to be. */
  readonly aim?: number;
}

const contenders: readonly Contender[] = [
  { name: 'PyTorch', threads: 1, layout: 'contiguous' },
  { name: 'PyTorch', threads: 1, layout: 'channels_last' },
  { name: 'PyTorch', threads: 2, layout: 'contiguous' },
  { name: 'PyTorch', threads: 2, layout: 'channels_last' },
  { name: 'tfjs-node', threads: 1, aim: 1.5 },
  { name: 'tfjs-node', threads: 2, aim: 1.5 },
  { name: 'wasm', threads: 1, aim: 4 },
];

function start({ name, threads, layout }: Contender, python: string): Worker {
  const count = String(threads);
  if (layout) {
    const program = join(projectRoot, 'test', 'bench', 'training_step.py');
    return startWorker([python, program, count, layout], { OMP_NUM_THREADS: count });
  }
  const threadsOfTensorflow = {
    TF_NUM_INTRAOP_THREADS: count,
    TF_NUM_INTEROP_THREADS: '1',
    OMP_NUM_THREADS: count,
  };
  return startWorker(
    [process.execPath, programPath('test/bench/trainingStepWorker.js'), name],
    threadsOfTensorflow,
  );
}

/** A file with a model's first weights, and the batch that all train on. */
async function writeProblem(model: string, folder: string): Promise<string> {
  const student = createModel(model, { inputShape: INPUT_SHAPE, classes: CLASSES, seed: 1 });
  const tensors: Map<string, SafeTensor> = await readVariables(weightsOf(student));
  student.dispose();
  const random = createRandom('training step');
  const shape = [BATCH, ...INPUT_SHAPE];
  const pixels = Float32Array.from({ length: tf.util.sizeFromShape(shape) }, () => random.normal());
  const labels = Int32Array.from({ length: BATCH }, (_, i) => i % CLASSES);
  tensors.set('images', { dtype: 'F32', shape, values: pixels });
  tensors.set('labels', { dtype: 'I32', shape: [BATCH], values: labels });
  const file = join(folder, `${model}.safetensors`);
  await writeFile(file, encodeSafetensors(tensors, {}));
  return file;
}

const label = ({ name, threads, layout }: Contender): string =>
  `${name}, ${threads} thread${threads === 1 ? '' : 's'}${layout ? `, ${layout}` : ''}`;

function largestDifference(actual: readonly number[], expected: readonly number[]): number {
  const scale = Math.max(1, ...expected.map(Math.abs));
  return Math.max(...expected.map((value, i) => Math.abs(actual[i]! - value))) / scale;
}

/** What the first steps gave, and how far it was from what the first contender found. */
async function check(workers: readonly Worker[], model: string, file: string) {
  const answers: (LoadAnswer & StepsAnswer)[] = [];
  for (const worker of workers) {
    const loaded = await worker.ask<LoadAnswer>({ model, load: file });
    answers.push({ ...loaded, ...(await worker.ask<StepsAnswer>({ model, steps: CHECKED_STEPS })) });
  }
  const expected = answers[0]!;
  for (const [i, { parameters, logits, losses }] of answers.entries()) {
    const difference = {
      logits: largestDifference(logits, expected.logits),
      losses: largestDifference(losses, expected.losses),
    };
    if (
      parameters !== expected.parameters ||
      !(Math.max(difference.logits, difference.losses) <= TOLERANCE)
    ) {
      throw new Error(
        `${model}, ${label(contenders[i]!)}: not the same work: ${JSON.stringify({ parameters, losses, difference, expected: expected.losses })}`,
      );
    }
  }
  return answers;
}

/** Milliseconds of every step, by contender and round. */
type Times = number[][][];

async function measure(
  workers: readonly Worker[],
  first: readonly StepsAnswer[],
  model: string,
): Promise<Times> {
  const steps = first.map(({ milliseconds }) => Math.max(1, Math.round(TURN_MS / Math.min(...milliseconds))));
  const times: Times = workers.map(() => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, worker] of workers.entries()) {
      const { milliseconds } = await worker.ask<StepsAnswer>({ model, steps: steps[i] });
      times[i]!.push([...milliseconds]);
    }
  }
  return times;
}

interface Result extends Contender {
  readonly model: string;
  readonly device: string;
  readonly ms: Spread;
  /** PyTorch with as many threads, in the layout that is faster there. */
  readonly opponent: string;
  /** To the opponent, round by round. */
  readonly ratio: Spread;
}

function resultsOf(model: string, devices: readonly string[], times: Times): Result[] {
  const spreads = times.map((rounds) => spreadOf(rounds.flat()));
  return contenders.map((contender, i) => {
    const opponents = [...contenders.keys()].filter(
      (k) => contenders[k]!.name === 'PyTorch' && contenders[k]!.threads === contender.threads,
    );
    const fastest = opponents.reduce((a, b) => (spreads[a]!.median <= spreads[b]!.median ? a : b));
    const ratio = spreadOf(
      times[i]!.map((round, k) => spreadOf(round).median / spreadOf(times[fastest]![k]!).median),
    );
    return {
      model,
      ...contender,
      device: devices[i]!,
      ms: spreads[i]!,
      opponent: label(contenders[fastest]!),
      ratio,
    };
  });
}

function tableOf(results: readonly Result[]): string {
  const table = new Table({
    head: ['model', 'contender', 'ms a step', '10-90 %', 'of PyTorch', '10-90 %', 'aim'],
    colAligns: ['left', 'left', 'right', 'right', 'right', 'right', 'left'],
    style: { head: [], border: [] },
  });
  for (const { model, ms, ratio, ...contender } of results) {
    const { aim } = contender;
    table.push([
      model,
      label(contender),
      ms.median.toFixed(1),
      `${ms.p10.toFixed(1)}-${ms.p90.toFixed(1)}`,
      `${ratio.median.toFixed(2)} x`,
      `${ratio.p10.toFixed(2)}-${ratio.p90.toFixed(2)}`,
      aim === undefined ? '' : `${aim} x: ${ratio.median <= aim ? 'met' : 'MISSED'}`,
    ]);
  }
  return table.toString();
}

async function main(): Promise<void> {
  const startedAt = performance.now();
  const python = pythonWithTorch();
  await loadBackend('cpu');
  const folder = await mkdtemp(join(tmpdir(), 'codistill-'));
  const workers = contenders.map((contender) => start(contender, python));
  const results: Result[] = [];
  for (const model of MODELS) {
    const first = await check(workers, model, await writeProblem(model, folder));
    const times = await measure(workers, first, model);
    results.push(
      ...resultsOf(
        model,
        first.map(({ device }) => device),
        times,
      ),
    );
    process.stdout.write(`${model}: ${first[0]!.parameters} parameters; logits and losses of all agree\n`);
  }
  await Promise.all(workers.map((worker) => worker.end()));
  await rm(folder, { recursive: true });
  process.stdout.write(`${tableOf(results)}\n`);
  await writeResults('trainingStep', {
    tfjs: tf.version_core,
    batch: BATCH,
    inputShape: INPUT_SHAPE,
    classes: CLASSES,
    results,
  });
  process.stdout.write(`took ${((performance.now() - startedAt) / 1000).toFixed(0)} s\n`);
}

await main();
