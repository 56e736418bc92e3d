import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { encode, encodingShape, layersOf } from '../../src/distill/encoders/index.ts';
import { getMethod } from '../../src/distill/index.ts';
import { drawNegatives, mostNegatives } from '../../src/distill/negatives.ts';
import { createObjective, encodingKey, needsOf } from '../../src/distill/objective.ts';
import type { FeatureShapes, LossInput, ModuleSetup, Modules } from '../../src/distill/types.ts';
import { NO_MODULES } from '../../src/distill/types.ts';
import { batchLoss, type LossBatch } from '../../src/training/loss.ts';
import { expectSameOnBoth, loadBoth } from '../backend/compare.ts';
import { normals, normOf, sumOf } from '../support/numeric.ts';
import { expectClose, expectNoLeak } from '../support/tensors.ts';

beforeAll(async () => {
  await loadBoth();
  await tf.setBackend('cpu');
});

const BATCH = 4;
const CLASSES = 4;
const TRAIN_SIZE = 40;
const trainLabels = Uint16Array.from({ length: TRAIN_SIZE }, (_, id) => id % CLASSES);
const IDS = [7, 12, 33, 2];

interface Setting {
  readonly student: FeatureShapes;
  readonly teacher: FeatureShapes;
  readonly options?: Record<string, unknown>;
  /** Whether the loss compares samples with each other, so that it cannot be looked at one by one. */
  readonly wholeBatch?: boolean;
}

const vectors = (student: number, teacher: number) => ({
  student: { embedding: [student] },
  teacher: { embedding: [teacher] },
});

/** Networks of different shapes for every method, as far as it takes them. */
const settings: Readonly<Record<string, Setting>> = {
  fitnet: { student: { stage2: [4, 4, 2] }, teacher: { stage2: [2, 2, 3] } },
  at: {
    student: { stage1: [4, 4, 2], stage2: [2, 2, 3] },
    teacher: { stage1: [2, 3, 3], stage2: [2, 2, 1] },
  },
  sp: { student: { stage1: [2, 2, 3] }, teacher: { stage1: [3, 3, 2] }, wholeBatch: true },
  cc: { ...vectors(3, 5), options: { width: 4 }, wholeBatch: true },
  vid: {
    student: { stage1: [3, 3, 2], stage2: [2, 2, 2] },
    teacher: { stage1: [2, 2, 3], stage2: [3, 3, 2] },
    options: { initialVariance: 0.2 },
  },
  rkd: { ...vectors(3, 5), wholeBatch: true },
  pkt: { ...vectors(4, 3), wholeBatch: true },
  ab: {
    student: { stage1: [2, 2, 2], stage2: [2, 2, 3] },
    teacher: { stage1: [2, 2, 2], stage2: [4, 4, 2] },
  },
  ft: { student: { stage1: [3, 3, 2] }, teacher: { stage1: [2, 2, 4] } },
  fsp: {
    student: { stage1: [4, 4, 2], stage2: [2, 2, 3] },
    teacher: { stage1: [3, 3, 2], stage2: [2, 2, 3] },
  },
  nst: { student: { stage1: [3, 3, 3] }, teacher: { stage1: [2, 2, 2] } },
  crd: { ...vectors(3, 5), options: { width: 4, tau: 0.5 } },
};
const names = Object.keys(settings);

/** `tf.tidy` for work that gives anything but tensors. */
const tidied = <T>(work: () => T): T => tf.tidy(work as () => tf.TensorContainer) as T;

const size = (shape: readonly number[]) => shape.reduce((product, length) => product * length, 1);

function randomFeatures(shapes: FeatureShapes, key: string): Record<string, number[]> {
  const entries = Object.entries(shapes).map(
    ([layer, shape]) => [layer, normals(BATCH * size(shape), 1, `${key} ${layer}`)] as const,
  );
  return Object.fromEntries(entries);
}

function tensorsOf(
  shapes: FeatureShapes,
  values: Record<string, readonly number[]>,
): Record<string, tf.Tensor> {
  const entries = Object.entries(shapes).map(
    ([layer, shape]) => [layer, tf.tensor([...values[layer]!], [BATCH, ...shape])] as const,
  );
  return Object.fromEntries(entries);
}

const setupOf = ({ student, teacher }: Setting): ModuleSetup => ({
  student,
  teacher,
  trainLabels,
  ...{ classes: CLASSES, trainSize: TRAIN_SIZE, batchSize: BATCH, seed: 5 },
});

/** A method with its options and its modules, and what student and teacher computed. */
class Trial {
  readonly setting: Setting;
  readonly method: ReturnType<typeof getMethod>;
  readonly options: Record<string, unknown>;
  readonly modules: Modules;
  student: Record<string, number[]>;
  teacher: Record<string, number[]>;
  ids = [...IDS];

  constructor(name: string, setting: Setting = settings[name]!) {
    this.setting = setting;
    this.method = getMethod(name);
    this.options = this.method.options.parse(setting.options ?? {});
    this.modules = this.method.modules?.(setupOf(setting), this.options) ?? NO_MODULES;
    this.student = randomFeatures(setting.student, 'student');
    this.teacher = randomFeatures(setting.teacher, 'teacher');
  }

  get needs() {
    return this.method.needs!(this.options, Object.keys(this.setting.student)).features;
  }

  input(student = tensorsOf(this.setting.student, this.student)): LossInput<unknown> {
    const theirs = tensorsOf(this.setting.teacher, this.teacher);
    const encodings = this.needs.map((need) => {
      // What a paraphraser would say, whose weights do not matter here.
      const reduced = need.encoder === 'factors@1' ? { ...need, encoder: 'attention@1' } : need;
      return [need.layer, encode(reduced, theirs)] as const;
    });
    return {
      student: { logits: tf.zeros([BATCH, CLASSES]), features: student },
      labels: tf.tensor1d(
        this.ids.map((id) => trainLabels[id]!),
        'int32',
      ),
      teacher: { logits: null, encodings: Object.fromEntries(encodings) },
      options: this.options,
      modules: this.modules,
      ids: Uint32Array.from(this.ids),
      ...{ step: 3, epoch: 0, epochs: 10 },
    };
  }

  get loss() {
    return this.method.loss ?? this.method.init!.loss;
  }

  /** `[batch]`. */
  values(): number[] {
    return tf.tidy(() => [...this.loss(this.input()).dataSync()]);
  }

  /** Gradients of the sum of the values, each with a weight of its own, by layer and by parameter. */
  gradients(): Map<string, number[]> {
    return tidied(() => {
      const features = tensorsOf(this.setting.student, this.student);
      const layers = Object.keys(features);
      const parameters = [...this.modules.parameters.values()];
      const run = (...inputs: tf.Tensor[]): tf.Tensor => {
        const input = this.input(Object.fromEntries(layers.map((layer, i) => [layer, inputs[i]!])));
        return tf.sum(tf.mul(this.loss(input), tf.tensor1d(WEIGHTS)));
      };
      const gradients = tf
        .engine()
        .gradients(
          () => run(...Object.values(features)),
          [...Object.values(features), ...parameters],
          undefined,
          true,
        ).grads;
      const keys = [...layers, ...this.modules.parameters.keys()];
      const read = (gradient: tf.Tensor | undefined): number[] => [...gradient!.dataSync()];
      return new Map(keys.map((key, i) => [key, read(gradients[i])]));
    });
  }

  /** The same by differences of the values; two estimates, by a small and a larger step. */
  numericGradients(key: string): [small: number[], large: number[]] {
    const weighed = (): number => sumOf(this.values().map((value, i) => value * WEIGHTS[i]!));
    const features = this.student[key];
    const variable = this.modules.parameters.get(key);
    const start = features ? [...features] : [...variable!.dataSync()];
    const evaluate = (at: readonly number[]): number => {
      if (features) this.student = { ...this.student, [key]: [...at] };
      else tf.tidy(() => variable!.assign(tf.tensor([...at], variable!.shape)));
      return weighed();
    };
    const estimate = (step: number) =>
      start.map((value, i) => {
        const moved = (by: number) => evaluate(start.with(i, value + by));
        return (moved(step) - moved(-step)) / (2 * step);
      });
    const both: [number[], number[]] = [estimate(STEP), estimate(2 * STEP)];
    evaluate(start);
    return both;
  }

  dispose(): void {
    for (const each of [...this.modules.parameters.values(), ...this.modules.buffers.values()])
      each.dispose();
  }
}

const WEIGHTS = [1, -2, 0.5, 3];
/** Of the differences; values are float32. */
const STEP = 4e-3;

/** The second half of the batch as the first. */
const inPairs = (_: number, i: number, values: readonly number[]) => values[i % (values.length / 2)]!;

describe.each(names)('%s', (name) => {
  it('has the gradients of differences, in features and modules', () => {
    const trial = new Trial(name);
    // The total of the first batch is a constant, which differences would move.
    if (name === 'crd') train(trial);
    for (const [key, gradient] of trial.gradients()) {
      const [numeric, larger] = trial.numericGradients(key);
      const scale = Math.max(...numeric.map(Math.abs), 1e-3);
      expect(gradient.length, key).toBe(numeric.length);
      // Where two steps disagree, there is the kink of a rectifier between them.
      const smooth = numeric.flatMap((value, i) =>
        Math.abs(value - larger[i]!) < 3e-3 * scale ? [[gradient[i]! / scale, value / scale]] : [],
      );
      expect(smooth.length, key).toBeGreaterThan(0.5 * numeric.length);
      expectClose(
        smooth.map(([exact]) => exact!),
        smooth.map(([, difference]) => difference!),
        6e-3,
      );
    }
    trial.dispose();
  });

  it('gives one value per sample, the same on wasm and on cpu, and so the gradients', async () => {
    await expectSameOnBoth(() => {
      const trial = new Trial(name);
      const values = trial.values();
      expect(values.length).toBe(BATCH);
      const gradients = [...trial.gradients().values()];
      trial.dispose();
      return [values, ...gradients].map((list) => tf.tensor1d(list));
    }, 1e-4);
    await tf.setBackend('cpu');
  });

  it('leaves no tensors behind', async () => {
    await expectNoLeak(() => {
      const trial = new Trial(name);
      trial.gradients();
      trial.dispose();
    });
  });

  it.each([
    ['zero', (value: number) => 0 * value, (value: number) => value, 1e3],
    ['zero in both', (value: number) => 0 * value, (value: number) => 0 * value, 1e3],
    ['equal in all samples', () => 0.5, (value: number) => value, 1e3],
    ['equal in pairs of samples', inPairs, (value: number) => value, 1e3],
    ['equal in all samples, for the teacher', (value: number) => value, () => -0.5, 1e3],
    ['huge', (value: number) => 1e4 * value, (value: number) => 1e4 * value, 1e30],
  ] as const)('is finite where features are %s', (_, ofStudent, ofTeacher, limit) => {
    const trial = new Trial(name);
    const change = (features: Record<string, number[]>, by: typeof inPairs) =>
      Object.fromEntries(Object.entries(features).map(([layer, values]) => [layer, values.map(by)]));
    trial.student = change(trial.student, ofStudent);
    trial.teacher = change(trial.teacher, ofTeacher);
    expect(trial.values().every(Number.isFinite)).toBe(true);
    // A point where a gradient has no limit gives none, and not what a division by almost 0 would.
    for (const gradient of trial.gradients().values())
      expect(gradient.every((value) => Math.abs(value) < limit)).toBe(true);
    trial.dispose();
  });

  // Correlation congruence compares neighbouring rows: it has no such property.
  if (name !== 'cc') {
    it('follows the samples when they change their order', () => {
      const trial = new Trial(name);
      const before = trial.values();
      const order = [2, 0, 3, 1];
      const permute = (features: Record<string, number[]>) =>
        Object.fromEntries(
          Object.entries(features).map(([layer, values]) => {
            const length = values.length / BATCH;
            return [layer, order.flatMap((row) => values.slice(row * length, (row + 1) * length))];
          }),
        );
      trial.student = permute(trial.student);
      trial.teacher = permute(trial.teacher);
      trial.ids = order.map((row) => IDS[row]!);
      expectClose(
        trial.values(),
        order.map((row) => before[row]!),
        1e-5,
      );
      trial.dispose();
    });
  }

  it('says whether it needs the whole batch, has no use for logits, and runs on its defaults', () => {
    const { method, options } = new Trial(name);
    expect(method.wholeBatch ?? false).toBe(settings[name]!.wholeBatch ?? false);
    expect(method.needs!(options, Object.keys(settings[name]!.student)).logits).toBe(false);
    expect(method.options.safeParse({}).success).toBe(true);
    expect(method.options.safeParse({ misspelt: 1 }).success).toBe(false);
    expect(method.weights.ce).toBe(1);
  });
});

it.each([
  ['fitnet', 100, { layer: 'stage2' }],
  ['at', 1000, { layers: null }],
  ['sp', 3000, { layer: null }],
  ['cc', 0.02, { layer: 'embedding', width: 128 }],
  ['vid', 1, { layers: null, initialVariance: 5 }],
  ['rkd', 1, { layer: 'embedding', distance: 25, angle: 50 }],
  ['pkt', 30000, { layer: 'embedding' }],
  ['ab', 1, { layers: null, initEpochs: null, margin: 1 }],
  ['ft', 200, { layer: null }],
  ['fsp', 50, { layers: null, initEpochs: null }],
  ['nst', 50, { layers: null }],
  ['crd', 0.8, { layer: 'embedding', width: 128, negatives: 16384, tau: 0.07, momentum: 0.5 }],
])('%s has the weight %d and the options of the published code', (name, weight, options) => {
  expect(getMethod(name).weights).toEqual({ ce: 1, kd: weight });
  expect(getMethod(name).options.parse({})).toEqual(options);
});

describe('a student that equals its teacher', () => {
  it.each(['at', 'sp', 'rkd', 'pkt', 'fsp', 'nst'])('has nothing to learn by %s', (name) => {
    const { student } = settings[name]!;
    const trial = new Trial(name, { student, teacher: student });
    trial.teacher = trial.student;
    const other = new Trial(name, { student, teacher: student });
    expect(Math.max(...other.values().map(Math.abs))).toBeGreaterThan(1e-3);
    expectClose(trial.values(), new Array(BATCH).fill(0), 1e-6);
    for (const gradient of trial.gradients().values())
      expectClose(gradient, new Array(gradient.length).fill(0), 1e-5);
  });

  it('has nothing to learn by cc, when their embeddings are the same', () => {
    const trial = new Trial('cc', { ...vectors(3, 3), options: { width: 4 } });
    const { parameters } = trial.modules;
    for (const part of ['weight', 'bias'])
      parameters.get(`teacher.${part}`)!.assign(parameters.get(`student.${part}`)!);
    trial.teacher = trial.student;
    expectClose(trial.values(), new Array(BATCH).fill(0), 1e-12);
    for (const gradient of trial.gradients().values())
      expectClose(gradient, new Array(gradient.length).fill(0), 1e-12);
  });

  it('has nothing to learn by ab when all activations are beyond the margin', () => {
    const shapes = { stage1: [2, 2, 2] };
    const trial = new Trial('ab', { student: shapes, teacher: shapes });
    trial.student = {
      stage1: trial.student.stage1!.map((value) => Math.sign(value) * (1 + Math.abs(value))),
    };
    trial.teacher = trial.student;
    expect(trial.values()).toEqual(new Array(BATCH).fill(0));
    trial.student = { stage1: trial.student.stage1!.map((value) => -value) };
    expect(Math.min(...trial.values())).toBeGreaterThan(0);
  });
});

describe('what does not count', () => {
  /** The values after a change of the student's features. */
  function changed(name: string, change: (value: number, i: number) => number): void {
    const trial = new Trial(name);
    const before = trial.values();
    trial.student = Object.fromEntries(
      Object.entries(trial.student).map(([layer, values]) => [layer, values.map(change)]),
    );
    expectClose(trial.values(), before, 2e-5);
  }

  it('for rkd: where the embeddings are, and their scale', () => {
    changed('rkd', (value, i) => 3 * value + (i % 3));
  });

  it('for rkd: a rotation', () => {
    const trial = new Trial('rkd', vectors(2, 3));
    const before = trial.values();
    const [c, s] = [Math.cos(1), Math.sin(1)];
    const { embedding } = trial.student;
    trial.student = {
      embedding: embedding!.map((value, i) =>
        i % 2 === 0 ? c * value - s * embedding![i + 1]! : s * embedding![i - 1]! + c * value,
      ),
    };
    expectClose(trial.values(), before, 2e-5);
  });

  it('for sp: the scale of all activations', () => changed('sp', (value) => 5 * value));
  it('for pkt: the scale of each embedding', () =>
    changed('pkt', (value, i) => value * 2 ** Math.floor(i / 4)));
  it('for at: the scale of the activations', () => changed('at', (value) => -7 * value));
  it('for nst: the scale of each channel', () => changed('nst', (value, i) => value * (1 + (i % 3))));
});

describe('the layers', () => {
  const five = ['embedding', 'stage10', 'stage2', 'stage1', 'stage3'];
  const needs = (name: string, options: Record<string, unknown> = {}, layers = five) => {
    const method = getMethod(name);
    return method.needs!(method.options.parse(options), layers).features.map(({ layer }) => layer);
  };

  it.each([
    ['at', ['stage1', 'stage2', 'stage3', 'stage10']],
    ['vid', ['stage1', 'stage2', 'stage3', 'stage10']],
    ['nst', ['stage1', 'stage2', 'stage3', 'stage10']],
    ['ab', ['stage1', 'stage2', 'stage3', 'stage10']],
    ['fsp', ['stage1+stage2', 'stage2+stage3', 'stage3+stage10']],
    ['sp', ['stage10']],
    ['ft', ['stage10']],
    ['fitnet', ['stage2']],
    ['rkd', ['embedding']],
    ['pkt', ['embedding']],
    ['cc', ['embedding']],
    ['crd', ['embedding']],
  ])('of %s are %j unless told', (name, expected) => {
    expect(needs(name)).toEqual(expected);
  });

  it('of ab are those before the rectifiers, where the student has them', () => {
    const layers = ['preact1', 'stage1', 'preact2', 'stage2', 'stage3', 'embedding'];
    expect(needs('ab', {}, layers)).toEqual(['preact1', 'preact2', 'stage3']);
    expect(needs('ab', { layers: ['stage1'] }, layers)).toEqual(['stage1']);
    expect(needs('at', {}, layers)).toEqual(['stage1', 'stage2', 'stage3']);
  });

  it('are the same where only those are there that are needed, as in the loss', () => {
    const layers = ['preact1', 'stage1', 'preact2', 'stage2', 'preact3', 'stage3', 'embedding'];
    for (const name of names) {
      const needed = needs(name, {}, layers);
      expect(needs(name, {}, [...new Set(needed.flatMap(layersOf))]), name).toEqual(needed);
    }
  });

  it.each([
    ['at', { layers: ['stage3', 'stage1'] }, ['stage3', 'stage1']],
    ['fsp', { layers: ['stage1', 'stage3'] }, ['stage1+stage3']],
    ['sp', { layer: 'embedding' }, ['embedding']],
    ['fitnet', { layer: 'stage1' }, ['stage1']],
  ])('of %s are those of the options', (name, options, expected) => {
    expect(needs(name, options)).toEqual(expected);
  });

  it('that the student does not have are named with those that it has', () => {
    expect(() => needs('at', { layers: ['stage9'] }, ['stage1', 'stage2', 'embedding'])).toThrow(
      'Options of at: layers: the student has no layer "stage9"; did you mean "stage1"? ' +
        'It has stage1, stage2, embedding. Choose with distill.options.layers.',
    );
    expect(() => needs('fitnet', {}, ['embedding'])).toThrow('no layer "stage2". It has embedding.');
    expect(() => needs('rkd', {}, [])).toThrow('It has no named layers.');
    expect(() => needs('sp', {}, ['embedding'])).toThrow('the student has no stages to compare.');
    expect(() => needs('fsp', {}, ['stage1'])).toThrow('two layers are needed, and there is only stage1');
  });

  const refusal = (name: string, setting: Setting) => () => new Trial(name, setting);

  it.each([
    ['at', { stage1: [2, 2, 1] }, { stage1: [4, 4, 1] }, "teacher's stage1 is 4 x 4, larger"],
    ['ft', { stage1: [2, 2, 1] }, { stage1: [2, 3, 1] }, "teacher's stage1 is 2 x 3, larger"],
    ['fitnet', { stage2: [2, 2, 1] }, { stage2: [3, 3, 1] }, '2 x 2 cannot be brought to'],
    ['ab', { stage1: [2, 2, 1] }, { stage1: [8, 8, 1] }, '2 x 2 cannot be brought to'],
    ['vid', { stage1: [2, 2, 1] }, { stage2: [2, 2, 1] }, 'the teacher has no layer "stage1"'],
    ['nst', { stage1: [2, 2, 1] }, { stage1: [4] }, '"stage1" is a vector of 4, not a map'],
    ['cc', { embedding: [2, 2, 1] }, { embedding: [4] }, '"embedding" is a map of 2 x 2 x 1, not a vector'],
    [
      'fsp',
      { stage1: [2, 2, 1], stage2: [2, 2, 2] },
      { stage1: [2, 2, 1], stage2: [2, 2, 3] },
      'stage2 has 2 channels in the student and 3 in the teacher',
    ],
  ] as const)('of %s that do not fit are refused with what to change', (name, student, teacher, message) => {
    expect(refusal(name, { student, teacher })).toThrow(message);
    expect(refusal(name, { student, teacher })).toThrow(/distill\.options\.layers?/);
  });

  it('are those of one teacher', () => {
    const method = getMethod('vid');
    const setup = { ...setupOf(settings.vid!), teacher: null };
    expect(() => method.modules!(setup, method.options.parse({}))).toThrow('one teacher');
  });

  it('of an encoding have the shape that the loss expects', () => {
    for (const name of names) {
      const trial = new Trial(name);
      const { encodings } = trial.input().teacher!;
      for (const need of trial.needs)
        expect(encodings[need.layer]!.shape).toEqual(encodingShape(need, trial.setting.teacher, BATCH));
    }
  });
});

/** What training calls, for one method. */
function train(trial: Trial, changes: Partial<LossBatch> = {}) {
  const objective = createObjective([{ method: trial.method, options: trial.setting.options ?? {} }], {});
  const { student, labels, teacher, ids, step, epochs } = trial.input();
  const needs = needsOf(objective.terms[0]!, Object.keys(trial.setting.student)).features;
  const encodings = needs.map((need) => [encodingKey(need), teacher!.encodings[need.layer]!] as const);
  const batch = {
    ...{ student, labels, ids, step, epochs, share: 1, epoch: 0 },
    teacher: { logits: null, encodings: Object.fromEntries(encodings) },
    ...changes,
  };
  return tidied(() => {
    const { outputs, sums } = batchLoss(objective, [trial.modules], batch);
    return {
      logits: outputs[0] ? [...outputs[0].dataSync()] : null,
      features: outputs.slice(1).map((each) => (each ? [...each.dataSync()] : null)),
      sums: [...sums.dataSync()],
    };
  });
}

describe('methods of two phases', () => {
  it.each(['ab', 'fsp'])('%s learns from the teacher alone, then from the labels alone', (name) => {
    const trial = new Trial(name);
    const largest = (values: number[] | null) => Math.max(0, ...(values ?? []).map(Math.abs));
    // A ninth of the training, unless told.
    const first = train(trial, { epoch: 2.99, epochs: 27 });
    expect(largest(first.logits)).toBe(0);
    for (const feature of first.features) expect(largest(feature)).toBeGreaterThan(0);
    const second = train(trial, { epoch: 3, epochs: 27 });
    expect(largest(second.logits)).toBeGreaterThan(0);
    for (const feature of second.features) expect(largest(feature)).toBe(0);
    expect(second.sums[0]! / BATCH).toBeCloseTo(Math.log(CLASSES), 5);
    trial.dispose();
  });

  it.each(['ab', 'fsp'])('the first phase of %s is as long as the option says', (name) => {
    const trial = new Trial(name, { ...settings[name]!, options: { initEpochs: 2 } });
    expect(train(trial, { epoch: 2 }).features.every((each) => each === null)).toBe(true);
    trial.dispose();
  });
});

describe('negatives', () => {
  const draw = (changes: Partial<Parameters<typeof drawNegatives>[0]> = {}) =>
    drawNegatives({
      ...{ trainLabels, ids: Uint32Array.from(IDS), count: 9, seed: 1, step: 0 },
      ...changes,
    });

  it('are as many as asked for, each once, of other classes', () => {
    const drawn = draw();
    expect(drawn.length).toBe(TRAIN_SIZE * BATCH);
    for (const [row, id] of IDS.entries()) {
      const negatives = [...trainLabels.keys()].filter((sample) => drawn[sample * BATCH + row] === 1);
      expect(negatives.length).toBe(9);
      for (const sample of negatives) expect(trainLabels[sample]).not.toBe(trainLabels[id]);
    }
  });

  it('are all samples of other classes when that many are asked for', () => {
    const most = mostNegatives(trainLabels);
    expect(most).toBe(30);
    expect(sumOf([...draw({ count: most })])).toBe(30 * BATCH);
  });

  it('follow from the seed and the step', () => {
    expect(draw()).toEqual(draw());
    expect(draw({ step: 1 })).not.toEqual(draw());
    expect(draw({ seed: 2 })).not.toEqual(draw());
  });

  it('differ between samples of one class', () => {
    const drawn = draw({ ids: Uint32Array.of(7, 11, 15) });
    const column = (row: number) => [...trainLabels.keys()].map((sample) => drawn[3 * sample + row]);
    expect(column(0)).not.toEqual(column(1));
    expect(column(1)).not.toEqual(column(2));
  });

  it('are uniform: over many steps, each sample of another class is as frequent', () => {
    const steps = 3000;
    const counts = new Float64Array(TRAIN_SIZE);
    for (let step = 0; step < steps; step++) {
      const drawn = draw({ ids: Uint32Array.of(7), step });
      for (let sample = 0; sample < TRAIN_SIZE; sample++) counts[sample]! += drawn[sample]!;
    }
    const expected = (steps * 9) / 30;
    for (const [sample, count] of counts.entries()) {
      if (trainLabels[sample] === trainLabels[7]) expect(count).toBe(0);
      // Five standard deviations of a binomial.
      else expect(Math.abs(count - expected)).toBeLessThan(5 * Math.sqrt(steps * 0.3 * 0.7));
    }
  });

  it('are limited by the largest class', () => {
    expect(mostNegatives(Uint16Array.of(0, 0, 0, 1, 2))).toBe(2);
  });
});

describe('the memory of crd', () => {
  const setting: Setting = {
    ...vectors(3, 5),
    options: { width: 4, tau: 0.5, negatives: 9, momentum: 0.25 },
  };
  const read = (trial: Trial, name: string) => [...trial.modules.buffers.get(name)!.dataSync()];
  const rowOf = (values: readonly number[], row: number) => values.slice(4 * row, 4 * row + 4);

  /** Linear embeddings of length 1, in float64. */
  function embedded(trial: Trial, who: 'student' | 'teacher'): number[][] {
    const rows = who === 'student' ? trial.student.embedding! : trial.teacher.embedding!;
    const width = rows.length / BATCH;
    const weight = [...trial.modules.parameters.get(`${who}.weight`)!.dataSync()];
    return Array.from({ length: BATCH }, (_, b) => {
      const v = Array.from({ length: 4 }, (_, d) =>
        sumOf(Array.from({ length: width }, (_, k) => rows[b * width + k]! * weight[4 * k + d]!)),
      );
      return v.map((value) => value / normOf(v));
    });
  }

  it('gives the loss of the negatives that are drawn', () => {
    const trial = new Trial('crd', setting);
    const drawn = drawNegatives({ trainLabels, ids: Uint32Array.from(IDS), count: 9, seed: 5, step: 3 });
    const banks = { student: read(trial, 'student.bank'), teacher: read(trial, 'teacher.bank') };
    const side = (vectors: number[][], bank: number[]): number[] => {
      const score = (b: number, sample: number) =>
        Math.exp(sumOf(rowOf(bank, sample).map((m, d) => m * vectors[b]![d]!)) / 0.5);
      const samples = IDS.map((id, b) => [
        score(b, id),
        ...[...trainLabels.keys()].filter((s) => drawn[s * BATCH + b] === 1).map((s) => score(b, s)),
      ]);
      const total = (sumOf(samples.flat()) / (BATCH * 10)) * TRAIN_SIZE;
      const noise = 9 / TRAIN_SIZE;
      return samples.map(([positive, ...negatives]) => {
        const p = positive! / total;
        const others = negatives.map((each) => -Math.log(noise / (each / total + noise + 1e-7)));
        return -Math.log(p / (p + noise + 1e-7)) + sumOf(others);
      });
    };
    const one = side(embedded(trial, 'student'), banks.teacher);
    const two = side(embedded(trial, 'teacher'), banks.student);
    expectClose(
      trial.values(),
      one.map((value, b) => value + two[b]!),
      1e-5,
    );
    trial.dispose();
  });

  it('moves towards the vectors of the batch, after the gradients and before the parameters', async () => {
    const trial = new Trial('crd', setting);
    const before = { student: read(trial, 'student.bank'), teacher: read(trial, 'teacher.bank') };
    const buffers = () => [...trial.modules.buffers.values()].length;
    const count = buffers();
    await expectNoLeak(() => {
      tf.tidy(() => {
        train(trial);
      });
    });
    expect(buffers()).toBe(count);
    for (const who of ['student', 'teacher'] as const) {
      const after = read(trial, `${who}.bank`);
      const vectors = embedded(trial, who);
      for (let sample = 0; sample < TRAIN_SIZE; sample++) {
        const b = IDS.indexOf(sample);
        const old = rowOf(before[who], sample);
        const moved = b < 0 ? old : old.map((m, d) => 0.25 * m + 0.75 * vectors[b]![d]!);
        const expected = b < 0 ? old : moved.map((value) => value / normOf(moved));
        expectClose(rowOf(after, sample), expected, 1e-6);
      }
    }
    trial.dispose();
  });

  it('fixes the totals at the first batch, and keeps those of a checkpoint', () => {
    const trial = new Trial('crd', setting);
    const totals = () => [read(trial, 'student.total')[0]!, read(trial, 'teacher.total')[0]!];
    expect(totals()).toEqual([-1, -1]);
    const first = train(trial).sums;
    const fixed = totals();
    expect(Math.min(...fixed)).toBeGreaterThan(0);
    trial.student = randomFeatures(setting.student, 'later');
    expect(train(trial).sums).not.toEqual(first);
    expect(totals()).toEqual(fixed);

    const resumed = new Trial('crd', setting);
    for (const [name, variable] of resumed.modules.buffers) variable.assign(trial.modules.buffers.get(name)!);
    resumed.student = randomFeatures(setting.student, 'after that');
    trial.student = resumed.student;
    expectClose(train(resumed).sums, train(trial).sums, 1e-7);
    expect([...resumed.modules.buffers.get('student.total')!.dataSync()]).toEqual([fixed[0]]);
    trial.dispose();
    resumed.dispose();
  });

  it('stays as it is when nobody taught', () => {
    const trial = new Trial('crd', setting);
    const before = read(trial, 'student.bank');
    train(trial, { teacher: null });
    expect(read(trial, 'student.bank')).toEqual(before);
    trial.dispose();
  });

  it('needs samples of two classes', () => {
    const method = getMethod('crd');
    const setup = { ...setupOf(setting), trainLabels: new Uint16Array(TRAIN_SIZE) };
    expect(() => method.modules!(setup, method.options.parse({}))).toThrow('two classes');
  });
});
