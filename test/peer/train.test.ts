import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { createTrainingLog, type Report } from '../../peer/log.ts';
import {
  emaTeachers,
  type Lesson,
  logitsAlone,
  NO_STATE,
  noTeachers,
  type TeacherSource,
  type Teaching,
} from '../../peer/teachers.ts';
import { totalSteps, train } from '../../peer/train.ts';
import { loadBackend } from '../../src/backend/select.ts';
import { type RunSettings, runSettingsSchema } from '../../src/config/schema.ts';
import { batchIds } from '../../src/datasets/sampler.ts';
import { objectiveFrom } from '../../src/distill/fromSettings.ts';
import { featureShapes } from '../../src/models/featureShapes.ts';
import { createModel } from '../../src/models/index.ts';
import type { Model } from '../../src/models/types.ts';
import { createOptimizer } from '../../src/training/createOptimizer.ts';
import { createEmaTeacher } from '../../src/training/emaTeacher.ts';
import { weightsOf } from '../../src/training/modelWeights.ts';
import type { Optimizer } from '../../src/training/optimizer.ts';
import { createStudentLoss } from '../../src/training/studentLoss.ts';
import { expectClose, expectNoLeak } from '../support/tensors.ts';
import { settingsWith, TINY_DATASET } from './support.ts';

beforeAll(async () => {
  await loadBackend('wasm');
});

const INDEPENDENT = settingsWith({ distill: { method: 'independent' } });
const { train: SET, imageShape, mean, std } = TINY_DATASET;

const createMlp = (): Model =>
  createModel('mlp', { inputShape: imageShape, classes: TINY_DATASET.classNames.length, seed: 3 });

const weights = (model: Model): Float32Array[] =>
  [...weightsOf(model).values()].map((variable) => variable.dataSync<'float32'>().slice());

/** Teachers that answer as told, and remember what they were asked. */
function teachersThat(teach: (lesson: Lesson) => Partial<Teaching>) {
  const lessons: Pick<Lesson, 'step' | 'ids'>[] = [];
  const updates: number[] = [];
  /** Steps, and whether the predictions were gone. */
  const remembered: [step: number, gone: boolean][] = [];
  const teachers: TeacherSource = {
    teach: async (lesson) => {
      lessons.push({ step: lesson.step, ids: lesson.ids });
      return { target: null, waitedMs: 0, ...teach(lesson) };
    },
    remember: (lesson) => void remembered.push([lesson.step, lesson.student.logits.isDisposed]),
    updated: (step) => void updates.push(step),
    state: NO_STATE,
    dispose: () => {},
  };
  return { teachers, lessons, remembered, updates, asked: () => lessons.map(({ step }) => step) };
}

const noise = (step: number) => logitsAlone(tf.randomNormal([8, 3], 0, 1, 'float32', step));

interface Extras {
  readonly model?: Model;
  readonly signal?: AbortSignal;
  readonly evaluate?: (step: number) => Promise<void>;
  /** In the place of the one that the settings name. */
  readonly optimizer?: Optimizer;
}

/** Trains an mlp on the tiny dataset; everything that it made is gone afterwards. */
async function trainTiny(settings: RunSettings, teachers: TeacherSource, extras: Extras = {}) {
  const model = extras.model ?? createMlp();
  const loss = createStudentLoss(objectiveFrom(settings.distill), {
    model,
    student: featureShapes(model),
    teacher: null,
    trainSize: SET.count,
    trainLabels: SET.labels,
    batchSize: settings.data.batchSize,
    seed: 4,
  });
  const optimizer =
    extras.optimizer ??
    createOptimizer(new Map([...model.parameters, ...loss.parameters]), settings.training.optimizer);
  const reports: Report[] = [];
  const evaluated: number[] = [];
  const kept: number[] = [];
  // A clock that moves by half a second at every look: reports come at every other step or so.
  let time = 0;
  const now = () => {
    time += 500;
    return time;
  };
  try {
    const steps = await train({
      peer: 'mlp-1',
      settings,
      dataset: TINY_DATASET,
      model,
      loss,
      optimizer,
      teachers,
      log: createTrainingLog({ classes: 3, graceSteps: 100, now }, (report) => void reports.push(report)),
      evaluate: extras.evaluate ?? (async (step) => void evaluated.push(step)),
      keep: async (step) => void kept.push(step),
      signal: extras.signal ?? new AbortController().signal,
      from: 0,
    });
    return { steps, evaluated, kept, reports, weights: weights(model) };
  } finally {
    optimizer.dispose();
    loss.dispose();
    model.dispose();
  }
}

/** The same training written down as it is in textbooks: `variableGrads`, and SGD on plain arrays. */
function trainByHand({ seed, training, data }: RunSettings, steps: number): number[][] {
  const model = createMlp();
  if (training.optimizer.name !== 'sgd') throw new Error('written down for sgd alone');
  const { learningRate, momentum, weightDecay } = training.optimizer;
  const variables = [...model.parameters.values()];
  const w = variables.map((variable) => [...variable.dataSync()]);
  const v = w.map((values) => values.map(() => 0));
  for (let step = 0; step < steps; step++) {
    const ids = batchIds({ seed, step, batchSize: data.batchSize, count: SET.count });
    const pixels = [...ids].flatMap((id) => [...SET.images.subarray(id * 16, id * 16 + 16)]);
    const loss = (): tf.Scalar => {
      const images = tf.tensor4d(
        pixels.map((pixel) => (pixel / 255 - mean[0]!) / std[0]!),
        [data.batchSize, ...imageShape],
      );
      const labels = tf.oneHot(
        [...ids].map((id) => SET.labels[id]!),
        3,
      );
      return tf.losses.softmaxCrossEntropy(labels, model.forward(images, true).logits);
    };
    const { grads } = tf.variableGrads(loss, variables);
    for (const [i, variable] of variables.entries()) {
      for (const [k, gradient] of grads[variable.name]!.dataSync().entries()) {
        v[i]![k] = momentum * v[i]![k]! + gradient + weightDecay * w[i]![k]!;
        w[i]![k]! -= learningRate * v[i]![k]!;
      }
      variable.assign(tf.tensor(w[i]!, variable.shape));
    }
  }
  model.dispose();
  return w;
}

describe('training alone', () => {
  it('gives the weights of a plain SGD loop', async () => {
    const trained = await trainTiny(INDEPENDENT, noTeachers);
    expect(trained.steps).toBe(6);
    const expected = trainByHand(INDEPENDENT, 6);
    const initial = weights(createMlp());
    for (const [i, values] of expected.entries()) {
      expectClose(trained.weights[i]!, values, 1e-5);
      expect(trained.weights[i], 'it has moved').not.toEqual(initial[i]);
    }
  });

  it('follows the schedules of the learning rate and of the weight decay', async () => {
    const settings = settingsWith({
      distill: { method: 'independent' },
      training: {
        ...{ epochs: 3, schedule: 'step', milestones: [1, 2], decayFactor: 0.5, warmUpSteps: 1 },
        optimizer: { ...INDEPENDENT.training.optimizer, weightDecaySchedule: 'milestones' },
      },
    });
    const applied: unknown[] = [];
    const optimizer: Optimizer = {
      apply: (_, learningRate, step, decayShare) => void applied.push([step, learningRate, decayShare]),
      slots: new Map(),
      dispose: () => {},
    };
    const { reports } = await trainTiny(settings, noTeachers, { optimizer });
    const peak = settings.training.optimizer.learningRate;
    expect(applied).toEqual([
      ...[
        [0, peak / 2, 1],
        [1, peak, 1],
        [2, peak, 1],
      ],
      ...[3, 4, 5].map((step) => [step, peak / 2, 0.1]),
      ...[6, 7, 8].map((step) => [step, peak / 4, 0]),
    ]);
    expect(reports.at(-1)).toMatchObject({ learningRate: peak / 4 });
  });

  it.each(['adam', 'adamw'] as const)('moves every weight by %s, too', async (name) => {
    const settings = runSettingsSchema.parse({
      ...INDEPENDENT,
      training: { ...INDEPENDENT.training, optimizer: { name } },
    });
    const trained = await trainTiny(settings, noTeachers);
    for (const [i, values] of weights(createMlp()).entries()) {
      expect(trained.weights[i]).not.toEqual(values);
      // Six steps of a thousandth at most, for gradients that are alike.
      expectClose(trained.weights[i]!, values, 0.01);
    }
  });

  it('asks no teachers, and tells them of no update that they missed', async () => {
    const { teachers, asked, updates } = teachersThat(() => ({ target: noise(0) }));
    await trainTiny(INDEPENDENT, teachers);
    expect(asked()).toEqual([]);
    expect(updates).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it.each([
    [{ epochs: 4, evaluateEvery: 2 }, [6, 12]],
    [{ epochs: 5, evaluateEvery: 2 }, [6, 12, 15]],
    [{ epochs: 2, evaluateEvery: 5 }, [6]],
  ])('evaluates after %o at the steps %o', async (training, steps) => {
    const settings = settingsWith({ distill: { method: 'independent' }, training });
    expect((await trainTiny(settings, noTeachers)).evaluated).toEqual(steps);
  });
});

describe('training with teachers', () => {
  const DML = settingsWith({ distill: { method: 'dml' } });

  it('asks about every step’s samples, in order', async () => {
    const { teachers, lessons } = teachersThat(() => ({}));
    await trainTiny(DML, teachers);
    expect(lessons).toEqual(
      [0, 1, 2, 3, 4, 5].map((step) => ({
        step,
        ids: batchIds({ seed: DML.seed, step, batchSize: 8, count: SET.count }),
      })),
    );
  });

  it('learns something else from a target than from the labels alone', async () => {
    const alone = await trainTiny(INDEPENDENT, noTeachers);
    const taught = await trainTiny(DML, teachersThat(({ step }) => ({ target: noise(step) })).teachers);
    expect(taught.weights).not.toEqual(alone.weights);
    expect(taught.reports[0]).toMatchObject({ distillationWeight: 2, distillation: expect.any(Number) });
  });

  it.each<[string, RunSettings, (lesson: Lesson) => Partial<Teaching>]>([
    [
      'what they say weighs nothing',
      settingsWith({ distill: { method: 'dml', kdWeight: 0 } }),
      ({ step }) => ({ target: noise(step) }),
    ],
    ['they never have a target', DML, () => ({})],
  ])('gives the weights of training alone, to the bit, when %s', async (_, settings, teach) => {
    const alone = await trainTiny(INDEPENDENT, noTeachers);
    const taught = await trainTiny(settings, teachersThat(teach).teachers);
    expect(taught.weights).toEqual(alone.weights);
  });

  it('asks nobody during the burn-in, but lets what it says be remembered', async () => {
    const settings = settingsWith({ distill: { method: 'dml', burnInSteps: 4 } });
    const { teachers, asked, remembered, updates } = teachersThat(() => ({}));
    await trainTiny(settings, teachers);
    expect(asked()).toEqual([4, 5]);
    expect(remembered).toEqual([0, 1, 2, 3, 4, 5].map((step) => [step, false]));
    expect(updates).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('jumps to where the others are, and evaluates on the way', async () => {
    const settings = settingsWith({ distill: { method: 'dml' }, training: { epochs: 4 } });
    const { teachers, asked } = teachersThat(({ step }) => (step === 1 ? { nextStep: 8 } : {}));
    const { steps, evaluated, kept } = await trainTiny(settings, teachers);
    expect(asked()).toEqual([0, 1, 8, 9, 10, 11]);
    expect(evaluated).toEqual([8, 9, 12]);
    expect(kept).toEqual([1, 10, 11]);
    expect(steps).toBe(12);
  });

  it('neither goes back nor beyond the end', async () => {
    const { teachers, asked } = teachersThat(({ step }) => ({ nextStep: step === 2 ? 99 : 0 }));
    const { steps, evaluated, reports } = await trainTiny(DML, teachers);
    expect(asked()).toEqual([0, 1, 2]);
    expect(steps).toBe(6);
    expect(evaluated).toEqual([6]);
    expect(reports.at(-1)).toMatchObject({ step: 6, steps: 6 });
  });

  it('takes its own average as teacher', async () => {
    const settings = settingsWith({ distill: { method: 'self-ema' } });
    const model = createMlp();
    const ema = createEmaTeacher(model, createMlp(), 0.5);
    const { weights: learnt } = await trainTiny(settings, emaTeachers(ema), { model });
    const averaged = [...ema.state.values()].map((variable) => variable.dataSync<'float32'>());
    expect(averaged).not.toEqual(learnt);
    for (const [i, values] of averaged.entries()) expectClose(values, learnt[i]!, 0.1);
    ema.dispose();
  });
});

describe('training that is stopped', () => {
  it('ends after the step under way, and does not evaluate', async () => {
    const stop = new AbortController();
    const { teachers, updates } = teachersThat(({ step }) => {
      if (step === 2) stop.abort();
      return {};
    });
    const { steps, evaluated } = await trainTiny(settingsWith({ distill: { method: 'dml' } }), teachers, {
      signal: stop.signal,
    });
    expect(updates).toEqual([0, 1, 2]);
    expect(steps).toBe(3);
    expect(evaluated).toEqual([]);
  });

  it('does nothing when it was stopped before', async () => {
    const {
      steps,
      evaluated,
      weights: kept,
    } = await trainTiny(INDEPENDENT, noTeachers, {
      signal: AbortSignal.abort(),
    });
    expect([steps, evaluated]).toEqual([0, []]);
    expect(kept).toEqual(weights(createMlp()));
  });
});

describe('the memory of the device', () => {
  const DML = settingsWith({ distill: { method: 'dml' }, training: { clipNorm: 1 } });

  it.each<[string, RunSettings, TeacherSource]>([
    ['alone', INDEPENDENT, noTeachers],
    [
      'with a target at every other step',
      DML,
      teachersThat(({ step }) => (step % 2 ? { target: noise(step) } : {})).teachers,
    ],
  ])('is as before after training %s', async (_, settings, teachers) => {
    // The first use of a backend may keep something for good.
    await trainTiny(settings, noTeachers);
    await expectNoLeak(async () => void (await trainTiny(settings, teachers)));
  });

  it.each<[string, TeacherSource]>([
    [
      'teachers fail',
      teachersThat(() => {
        throw new Error('failed');
      }).teachers,
    ],
    ['a target does not fit', teachersThat(() => ({ target: logitsAlone(tf.zeros([5, 7])) })).teachers],
  ])('is as before when %s', async (_, teachers) => {
    await expectNoLeak(() => expect(trainTiny(DML, teachers)).rejects.toThrow());
  });

  it('is used alike at every evaluation', async () => {
    const held: number[] = [];
    const settings = settingsWith({ distill: { method: 'dml' }, training: { epochs: 5 } });
    const { teachers } = teachersThat(({ step }) => (step % 2 ? { target: noise(step) } : {}));
    // The log keeps one tensor of sums between two reports.
    await trainTiny(settings, teachers, { evaluate: async () => void held.push(tf.memory().numTensors) });
    expect(held).toHaveLength(5);
    expect(Math.max(...held) - Math.min(...held)).toBeLessThanOrEqual(1);
  });
});

describe('totalSteps', () => {
  it('counts whole batches of all epochs', () => {
    expect(totalSteps(settingsWith({ data: { batchSize: 7 }, training: { epochs: 4 } }), TINY_DATASET)).toBe(
      12,
    );
  });
});
