import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { createTrainingLog } from '../../peer/log.ts';
import { logitsAlone, noTeachers, type TeacherSource } from '../../peer/teachers.ts';
import { train } from '../../peer/train.ts';
import { objectiveFrom } from '../../src/distill/fromSettings.ts';
import { featureShapes } from '../../src/models/featureShapes.ts';
import { createModel } from '../../src/models/index.ts';
import { createOptimizer } from '../../src/training/createOptimizer.ts';
import { createStudentLoss } from '../../src/training/studentLoss.ts';
import { settingsWith, TINY_DATASET } from '../peer/support.ts';
import { usableBackends, useBackend } from '../support/backends.ts';

const usable = (await usableBackends('long runs')).filter(({ name }) => name !== 'cpu');

/** Tensors that TensorFlow.js knows of, and of TensorFlow's library, which others can leave behind. */
interface Held {
  readonly tensors: number;
  readonly native: number;
}

function held(): Held {
  const { getNumOfTFTensors } = tf.backend() as { getNumOfTFTensors?: () => number };
  return { tensors: tf.memory().numTensors, native: getNumOfTFTensors?.call(tf.backend()) ?? 0 };
}

const EPOCH_STEPS = 3;

interface Run {
  readonly model: string;
  readonly steps: number;
  /** Between two looks of the log at its clock. It reports once a second, and holds sums in between. */
  readonly tickMs: number;
  readonly teach: TeacherSource['teach'];
  readonly updated: (step: number) => void;
}

/** Trains a student as a peer does, with everything that allocates: a clipped norm, momentum, evaluations, a log. */
async function run({ model: name, steps, tickMs, teach, updated }: Run): Promise<number> {
  const settings = settingsWith({
    distill: { method: 'dml' },
    training: { epochs: Math.ceil(steps / EPOCH_STEPS), evaluateEvery: 7, clipNorm: 1 },
  });
  const { imageShape, classNames, train: set } = TINY_DATASET;
  const model = createModel(name, { inputShape: imageShape, classes: classNames.length, seed: 3 });
  const loss = createStudentLoss(objectiveFrom(settings.distill), {
    model,
    student: featureShapes(model),
    teacher: null,
    trainSize: set.count,
    trainLabels: set.labels,
    batchSize: settings.data.batchSize,
    seed: 4,
  });
  const optimizer = createOptimizer(
    new Map([...model.parameters, ...loss.parameters]),
    settings.training.optimizer,
  );
  let time = 0;
  const now = (): number => {
    time += tickMs;
    return time;
  };
  const evaluate = async (): Promise<void> => {
    const images = tf.zeros<tf.Rank.R4>([2, ...imageShape]);
    const logits = tf.tidy(() => model.forward(images, false).logits);
    await logits.data();
    tf.dispose([images, logits]);
  };
  try {
    return await train({
      ...{ peer: 'peer-1', settings, dataset: TINY_DATASET, model, loss, optimizer, evaluate },
      teachers: { ...noTeachers, teach, updated },
      log: createTrainingLog({ classes: classNames.length, graceSteps: steps, now }, () => {}),
      keep: async () => {},
      signal: new AbortController().signal,
      from: 0,
    });
  } finally {
    optimizer.dispose();
    loss.dispose();
    model.dispose();
  }
}

const target = (step: number) =>
  logitsAlone(tf.randomNormal([8, TINY_DATASET.classNames.length], 0, 1, 'float32', step) as tf.Tensor2D);

/** Of a window of steps: alone the log holds one tensor more at some of them than at others. */
function rangeOf(samples: readonly Held[]): Record<string, [least: number, most: number]> {
  const range = (values: readonly number[]): [number, number] => [Math.min(...values), Math.max(...values)];
  return {
    tensors: range(samples.map(({ tensors }) => tensors)),
    native: range(samples.map(({ native }) => native)),
  };
}

describe.each(usable)('a long training on $name', (backend) => {
  // lavapipe takes a tenth of a second for a step of a convolutional network: as many as a few seconds allow.
  const isSlow = backend.name === 'webgpu';

  it.each([
    ['mlp', 1_002],
    ['cnn-s', isSlow ? 150 : 1_002],
    ['resnet8', isSlow ? 60 : 1_002],
  ])('holds at its end what it held early, although exchanges fail: %s', async (model, steps) => {
    await useBackend(backend);
    const before = held();
    const early = Math.min(100, steps / 3);
    const samples: Held[] = [];
    const done = await run({
      ...{ model, steps, tickMs: 300 },
      async teach({ step }) {
        // In turn: a target, a refusal at once, and one that comes later.
        if (step % 3 === 0) return { target: target(step), waitedMs: 1 };
        if (step % 3 === 2) await new Promise((resolve) => setImmediate(resolve));
        return { target: null, waitedMs: step % 3 };
      },
      updated: () => void samples.push(held()),
    });
    expect(done).toBe(steps);
    expect(samples).toHaveLength(steps);
    expect(samples[0]!.native > 0, 'they are counted').toBe(backend.name.startsWith('tfjs-node'));
    expect(rangeOf(samples.slice(-early))).toEqual(rangeOf(samples.slice(early, 2 * early)));
    expect(held()).toEqual(before);
  });

  it('that its teachers end leaves nothing behind, however often', async () => {
    await useBackend(backend);
    const attempt = (failsAt: number): Promise<number> =>
      run({
        ...{ model: 'cnn-s', steps: 9, tickMs: 1_000 },
        async teach({ step }) {
          if (step === failsAt) throw new Error('the exchange broke');
          return { target: step % 2 === 0 ? target(step) : null, waitedMs: 0 };
        },
        updated: () => {},
      });
    // The first use of a kernel may keep something for good.
    await expect(attempt(3)).rejects.toThrow('the exchange broke');
    const before = held();
    for (let times = 0; times < 20; times++) {
      await expect(attempt(times % 4)).rejects.toThrow('the exchange broke');
    }
    expect(held()).toEqual(before);
  });
});
