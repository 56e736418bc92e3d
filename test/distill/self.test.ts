import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { getMethod } from '../../src/distill/index.ts';
import { createObjective } from '../../src/distill/objective.ts';
import type { FeatureShapes, Modules } from '../../src/distill/types.ts';
import { UsageError } from '../../src/errors.ts';
import { batchLoss } from '../../src/training/loss.ts';
import { vjp } from '../../src/training/vjp.ts';
import { expectSameOnBoth, loadBoth } from '../backend/compare.ts';
import {
  crossEntropies,
  divergences,
  logSoftmax,
  normals,
  numericGradient,
  sumOf,
} from '../support/numeric.ts';
import { expectClose, expectNoLeak, rowsOf } from '../support/tensors.ts';

beforeAll(loadBoth);

const CLASSES = 5;
const WIDTH = 3;
const LABELS = [2, 0, 2, 0];
const BATCH = LABELS.length;
const student = normals(BATCH * CLASSES, 2, 'student');
const teacher = normals(BATCH * CLASSES, 2, 'teacher');
const embedding = normals(BATCH * WIDTH, 1, 'embedding');

/** All that a loss depends on, in plain numbers. */
interface Given {
  readonly name: string;
  readonly term?: 'loss' | 'supervised';
  readonly options?: Record<string, unknown>;
  readonly student: readonly number[];
  readonly teacher?: readonly number[] | undefined;
  readonly labels?: readonly number[];
  readonly epoch?: number;
  readonly epochs?: number;
  /** Shapes of the student's features and their values. */
  readonly shapes?: FeatureShapes;
  readonly features?: Record<string, readonly number[]>;
  /** Values of the modules' parameters; the initial ones when absent. */
  readonly modules?: Record<string, readonly number[]>;
}

/** The loss of each sample, and the gradients of the sum of the samples, each with a weight of its own. */
interface Evaluation {
  readonly values: number[];
  readonly logits: number[];
  readonly features: Record<string, number[]>;
  readonly parameters: Record<string, number[]>;
}

const WEIGHTS = [1, -2, 0.5, 3, 1.5, -1];

function evaluate(given: Given): Evaluation {
  const { name, term = 'loss', labels = LABELS, shapes = {}, epoch = 4, epochs = 10 } = given;
  const method = getMethod(name);
  const options = method.options.parse(given.options ?? {});
  const rows = labels.length;
  const classes = given.student.length / rows;
  const setup = { classes, trainSize: 9, trainLabels: new Uint16Array(9), batchSize: rows, seed: 1 };
  const modules: Modules = method.modules?.({ ...setup, student: shapes, teacher: null }, options) ?? {
    parameters: new Map(),
    buffers: new Map(),
  };
  const parameters = [...modules.parameters.entries()];
  const run = (): Evaluation => {
    for (const [key, values] of Object.entries(given.modules ?? {})) {
      const variable = modules.parameters.get(key)!;
      variable.assign(tf.tensor([...values], variable.shape));
    }
    const z = rowsOf(given.student, classes);
    const features = Object.fromEntries(
      Object.entries(shapes).map(([layer, shape]) => [
        layer,
        tf.tensor([...given.features![layer]!], [rows, ...shape]),
      ]),
    );
    const pass = vjp(
      () => [
        method[term]!({
          student: { logits: z, features },
          labels: tf.tensor1d([...labels], 'int32'),
          teacher: given.teacher ? { logits: rowsOf(given.teacher, classes), encodings: {} } : null,
          options,
          modules,
          ids: Uint32Array.from(labels.keys()),
          ...{ step: 0, epoch, epochs },
        }),
      ],
      [z, ...Object.values(features), ...parameters.map(([, variable]) => variable)],
    );
    expect(pass.outputs[0]!.shape).toEqual([rows]);
    const values = [...pass.outputs[0]!.dataSync()];
    const gradients = pass
      .backward([tf.tensor1d(WEIGHTS.slice(0, rows))])
      // A layer that the loss does not look at has none.
      .map((gradient) => (gradient ? [...gradient.dataSync()] : []));
    expect(gradients[0]).toHaveLength(given.student.length);
    const layers = Object.keys(features);
    return {
      values,
      logits: gradients[0]!,
      features: Object.fromEntries(layers.map((layer, i) => [layer, gradients[1 + i]!])),
      parameters: Object.fromEntries(parameters.map(([key], i) => [key, gradients[1 + layers.length + i]!])),
    };
  };
  const result = tf.tidy(run as unknown as () => tf.TensorContainer) as unknown as Evaluation;
  for (const variable of [...modules.parameters.values(), ...modules.buffers.values()]) variable.dispose();
  return result;
}

const allOf = ({ values, logits, features, parameters }: Evaluation): number[] => [
  ...values,
  ...logits,
  ...Object.values(features).flat(),
  ...Object.values(parameters).flat(),
];

const scaleOf = (values: readonly number[]): number => Math.max(...values.map(Math.abs), 1e-30);

/** Relative to the largest element. */
function expectProportional(actual: readonly number[], expected: readonly number[], tolerance: number): void {
  const scale = scaleOf(expected);
  expectClose(
    actual.map((value) => value / scale),
    expected.map((value) => value / scale),
    tolerance,
  );
}

const weighed = (values: readonly number[]): number => sumOf(values.map((value, i) => value * WEIGHTS[i]!));
const zeros = (values: readonly number[]): number[] => values.map(() => 0);
const firstHalf = <T>(values: readonly T[]): T[] => values.slice(0, values.length / 2);
const secondHalf = <T>(values: readonly T[]): T[] => values.slice(values.length / 2);
const doubled = (values: readonly number[]): number[] => values.map((value) => 2 * value);
/** Rows in another order; of as many rows as the largest number says. */
const permuted = <T>(values: readonly T[], order: readonly number[]): T[] => {
  const width = values.length / (Math.max(...order) + 1);
  return order.flatMap((row) => values.slice(row * width, (row + 1) * width));
};

/** T² KL(teacher, student) of every row. */
const hinton = (z: readonly number[], t: readonly number[], T: number): number[] =>
  divergences(z, t, CLASSES, T).map((value) => T * T * value);

/** Of what the virtual teacher of tf-kd-reg says, the logits. */
const virtual = (correct: number, T: number): number[] =>
  LABELS.flatMap((label) =>
    Array.from({ length: CLASSES }, (_, c) => (c === label ? correct : (1 - correct) / (CLASSES - 1)) / T),
  );

const softLabels = (z: readonly number[], t: readonly number[], share: number): number[] => {
  const [logQ, logP] = [logSoftmax(z, CLASSES), logSoftmax(t, CLASSES)];
  return LABELS.map((label, row) =>
    sumOf(
      Array.from({ length: CLASSES }, (_, c) => {
        const at = row * CLASSES + c;
        return -((c === label ? 1 - share : 0) + share * Math.exp(logP[at]!)) * logQ[at]!;
      }),
    ),
  );
};

const discrepancy = (features: readonly number[]): number => {
  const mean = (rows: readonly number[]) =>
    Array.from({ length: WIDTH }, (_, d) => sumOf(rows.filter((_, i) => i % WIDTH === d)) / (BATCH / 2));
  const [a, b] = [mean(firstHalf(features)), mean(secondHalf(features))];
  return sumOf(a.map((value, d) => (value - b[d]!) ** 2));
};

interface Case {
  readonly name: string;
  readonly term?: 'loss' | 'supervised';
  readonly options: Record<string, unknown>;
  readonly teacher?: readonly number[];
  readonly shapes?: FeatureShapes;
  readonly features?: Record<string, readonly number[]>;
  /** Each row's loss in float64; what the loss takes for a constant is that of `student` itself. */
  readonly reference: (z: readonly number[]) => number[];
}

const vectors = { shapes: { embedding: [WIDTH] }, features: { embedding } };

const cases: readonly Case[] = [
  { name: 'self-ema', options: {}, teacher, reference: (z) => hinton(z, teacher, 2) },
  { name: 'self-ema', options: { temperature: 5 }, teacher, reference: (z) => hinton(z, teacher, 5) },
  { name: 'born-again', options: {}, teacher, reference: (z) => hinton(z, teacher, 1) },
  { name: 'born-again', options: { temperature: 3 }, teacher, reference: (z) => hinton(z, teacher, 3) },
  { name: 'tf-kd-self', options: {}, teacher, reference: (z) => hinton(z, teacher, 6) },
  { name: 'tf-kd-self', options: { temperature: 1.5 }, teacher, reference: (z) => hinton(z, teacher, 1.5) },
  { name: 'tf-kd-reg', options: {}, reference: (z) => hinton(z, virtual(0.99, 20), 1) },
  {
    name: 'tf-kd-reg',
    options: { temperature: 0.2, correct: 0.7 },
    reference: (z) => hinton(z, virtual(0.7, 0.2), 1),
  },
  // In the fifth of ten epochs.
  { name: 'ps-kd', term: 'supervised', options: {}, teacher, reference: (z) => softLabels(z, teacher, 0.4) },
  {
    name: 'ps-kd',
    term: 'supervised',
    options: { alpha: 0.2 },
    teacher,
    reference: (z) => softLabels(z, teacher, 0.1),
  },
  {
    name: 'dlb',
    options: {},
    teacher: firstHalf(teacher),
    reference: (z) => [...doubled(hinton(firstHalf(z), firstHalf(teacher), 3)), 0, 0],
  },
  {
    name: 'dlb',
    options: { temperature: 0.5 },
    teacher: firstHalf(teacher),
    reference: (z) => [...doubled(hinton(firstHalf(z), firstHalf(teacher), 0.5)), 0, 0],
  },
  {
    name: 'cs-kd',
    options: { temperature: 1.5 },
    reference: (z) => [...doubled(hinton(firstHalf(z), secondHalf(student), 1.5)), 0, 0],
  },
  {
    name: 'cs-kd',
    options: {},
    reference: (z) => [...doubled(hinton(firstHalf(z), secondHalf(student), 4)), 0, 0],
  },
  {
    name: 'cs-kd',
    term: 'supervised',
    options: {},
    reference: (z) => [...doubled(crossEntropies(firstHalf(z), CLASSES, firstHalf(LABELS))), 0, 0],
  },
  {
    ...vectors,
    name: 'ddgsd',
    options: { temperature: 2, mmd: 0.3 },
    reference: (z) =>
      [
        ...doubled(hinton(firstHalf(z), secondHalf(student), 2)),
        ...doubled(hinton(secondHalf(z), firstHalf(student), 2)),
      ].map((value) => value + 0.3 * discrepancy(embedding)),
  },
];

describe.each(cases)('$name, $options $term', ({ reference, ...rest }) => {
  const given: Given = { ...rest, student };

  it('has the values of its formula, in float64', () => {
    expectProportional(evaluate(given).values, reference(student), 3e-6);
  });

  it('has the gradient of central differences, and none through what is constant', () => {
    const numeric = numericGradient((z) => weighed(reference(z)), student);
    expectProportional(evaluate(given).logits, numeric, 1e-5);
  });

  it('does not change when all logits of a row are shifted', () => {
    const shift = (values: readonly number[]) =>
      values.map((value, i) => value + Math.floor(i / CLASSES) - 4);
    const shifted = evaluate({
      ...given,
      student: shift(student),
      teacher: given.teacher && shift(given.teacher),
    });
    const plain = evaluate(given);
    expectProportional(shifted.values, plain.values, 1e-5);
    expectProportional(shifted.logits, plain.logits, 1e-5);
  });

  it('follows the rows of the batch, pairs staying pairs', () => {
    const order = [1, 0, 3, 2];
    const moved = evaluate({
      ...given,
      student: permuted(student, order),
      labels: permuted(LABELS, order),
      teacher: given.teacher && permuted(given.teacher, order.slice(0, given.teacher.length / CLASSES)),
      ...(given.features && { features: { embedding: permuted(embedding, order) } }),
    });
    expectProportional(moved.values, permuted(evaluate(given).values, order), 1e-5);
  });

  it.each([
    { what: 'equal logits', student: () => 0, teacher: () => 0 },
    { what: 'a teacher that prefers nothing', student: (i: number) => i % 3, teacher: () => -2 },
    { what: 'certainty', student: (i: number) => (i % 7 === 0 ? 200 : -200), teacher: () => 1 },
    {
      what: 'opposite certainties',
      student: (i: number) => (i % CLASSES === Math.floor(i / 10) ? 1e4 : 0),
      teacher: (i: number) => (i % CLASSES === 3 ? 1e4 : 0),
    },
  ])('and its gradient are finite for $what', ({ student: z, teacher: t }) => {
    const features = given.features && { features: { embedding: zeros(embedding) } };
    const extreme = { ...given, ...features, student: student.map((_, i) => z(i)) };
    const result = evaluate({ ...extreme, teacher: given.teacher?.map((_, i) => t(i)) });
    expect(allOf(result).every((value) => Math.abs(value) < 1e7)).toBe(true);
  });

  it('takes a pair and two classes, and has the same loss when each row stands there twice', () => {
    const pair = {
      ...{ student: [1, -0.5, 0.25, 3], labels: [1, 1] },
      teacher: given.teacher && [0.25, 2, 1, -1].slice(0, given.teacher.length === student.length ? 4 : 2),
      ...(given.features && { features: { embedding: embedding.slice(0, 2 * WIDTH) } }),
    };
    const twice = (values: readonly number[], rows: number): number[] =>
      permuted(
        values,
        Array.from({ length: 2 * rows }, (_, i) => i >> 1),
      );
    const both = {
      ...{ student: twice(pair.student, 2), labels: twice(pair.labels, 2) },
      teacher: pair.teacher && twice(pair.teacher, pair.teacher.length / 2),
      ...(pair.features && { features: { embedding: twice(pair.features.embedding, 2) } }),
    };
    const { values } = evaluate({ ...given, ...pair });
    expect(scaleOf(values)).toBeGreaterThan(1e-3);
    expectProportional(evaluate({ ...given, ...both }).values, twice(values, 2), 1e-5);
  });

  it('is the same on wasm and on cpu, and leaves no tensors behind', async () => {
    await expectSameOnBoth(() => [tf.tensor1d(allOf(evaluate(given)))]);
    await expectNoLeak(() => {
      evaluate(given);
    });
  });
});

describe('the methods of self-distillation', () => {
  it('have the teachers, batches, weights and options of their papers', () => {
    const names = [...new Set(cases.map(({ name }) => name)), 'byot'];
    const facts = names.map((name) => {
      const { teachers, batch = 'plain', wholeBatch = false, weights, options } = getMethod(name);
      return [name, teachers, batch, wholeBatch, weights.ce, weights.kd, options.parse({})];
    });
    const byot = { temperature: 3, alpha: 0.3, feature: 0.03, layers: null };
    expect(facts).toEqual([
      ['self-ema', 'ema', 'plain', false, 1, 2, { temperature: 2, decay: 0.999 }],
      ['born-again', 'generation', 'plain', false, 1, 1, { temperature: 1, generations: 2 }],
      ['tf-kd-self', 'generation', 'plain', false, 0.05, 0.475, { temperature: 6 }],
      ['tf-kd-reg', 'none', 'plain', false, 0.9, 0.1, { temperature: 20, correct: 0.99 }],
      ['ps-kd', 'previous-epoch', 'plain', false, 1, 0, { alpha: 0.8 }],
      ['dlb', 'previous-batch', 'overlapping', true, 1, 1, { temperature: 3 }],
      ['cs-kd', 'none', 'class-pairs', true, 1, 1, { temperature: 4 }],
      ['ddgsd', 'none', 'two-views', true, 2, 1, { temperature: 4, mmd: 5e-4, layer: 'embedding' }],
      ['byot', 'none', 'plain', false, 1, 1, byot],
    ]);
  });

  it('cannot be added up where their batches or their teachers differ', () => {
    const together = (...names: string[]) =>
      createObjective(
        names.map((name) => ({ method: getMethod(name), options: {} })),
        {},
      );
    expect(() => together('cs-kd', 'dlb')).toThrow('need different batches');
    expect(() => together('born-again', 'ps-kd')).toThrow('learn from different teachers');
    expect(together('tf-kd-reg', 'born-again').teachers).toBe('generation');
  });
});

describe('a student that agrees with its teacher', () => {
  const twice = [...firstHalf(student), ...firstHalf(student)];

  it.each([
    ['self-ema', student, student],
    ['born-again', student, student],
    ['tf-kd-self', student, student],
    ['dlb', student, firstHalf(student)],
    ['cs-kd', twice, undefined],
    ['ddgsd', twice, undefined],
  ] as const)('has no loss and no gradient in %s', (name, z, t) => {
    const features = name === 'ddgsd' && {
      shapes: vectors.shapes,
      features: { embedding: [...firstHalf(embedding), ...firstHalf(embedding)] },
    };
    const result = evaluate({ name, student: z, teacher: t, ...features });
    expectClose(allOf(result), zeros(allOf(result)), 1e-5);
  });

  it('has no gradient when it says what the virtual teacher of tf-kd-reg says', () => {
    const options = { temperature: 0.25, correct: 0.75 };
    const result = evaluate({ name: 'tf-kd-reg', options, student: virtual(0.75, 0.25) });
    expectClose(allOf(result), zeros(allOf(result)), 1e-6);
  });
});

describe('ps-kd', () => {
  const given: Given = { name: 'ps-kd', term: 'supervised', student, teacher };
  const at = (epoch: number, alpha = 0.8) =>
    evaluate({ ...given, epoch, epochs: 4, options: { alpha } }).values;

  it('has one share for all steps of an epoch, which grows to alpha in the last one', () => {
    expect(at(1.99)).toEqual(at(1));
    expectProportional(at(0), softLabels(student, teacher, 0.2), 1e-6);
    expectProportional(at(3.9), softLabels(student, teacher, 0.8), 1e-6);
  });

  it('is the divergence and the entropy of what was said when nothing else counts', () => {
    const said = logSoftmax(teacher, CLASSES);
    const entropies = LABELS.map((_, row) =>
      sumOf(said.slice(row * CLASSES, (row + 1) * CLASSES).map((log) => -Math.exp(log) * log)),
    );
    const divergence = divergences(student, teacher, CLASSES, 1);
    expectProportional(
      at(3, 1),
      divergence.map((value, row) => value + entropies[row]!),
      1e-6,
    );
  });

  it('is plain training, bit for bit, while nothing was said before', () => {
    const logits = rowsOf(student, CLASSES);
    const losses = ['ps-kd', 'independent'].map((name) => {
      const objective = createObjective([{ method: getMethod(name), options: {} }], {});
      return batchLoss(
        objective,
        objective.terms.map(() => ({ parameters: new Map(), buffers: new Map() })),
        {
          student: { logits, features: {} },
          labels: tf.tensor1d(LABELS, 'int32'),
          teacher: null,
          ids: Uint32Array.from(LABELS.keys()),
          ...{ step: 0, share: 1, epoch: 0, epochs: 4 },
        },
      );
    });
    const [psKd, independent] = losses.map(({ sums, outputs }) =>
      [sums, outputs[0]!].map((each) => each.dataSync()),
    );
    expect(psKd).toEqual(independent);
  });
});

describe('ddgsd', () => {
  it('draws the mean features of the views together, from both sides', () => {
    const { features } = evaluate({ ...vectors, name: 'ddgsd', options: { mmd: 2 }, student });
    const total = sumOf(WEIGHTS.slice(0, BATCH));
    const numeric = numericGradient((f) => 2 * total * discrepancy(f), embedding);
    expectProportional(features.embedding!, numeric, 1e-5);
  });

  it('does not see features that differ, but not in the mean', () => {
    const options = { mmd: 100 };
    const swapped = permuted(embedding, [1, 0]);
    const same = evaluate({ ...vectors, name: 'ddgsd', options, student });
    const moved = evaluate({ ...vectors, features: { embedding: swapped }, name: 'ddgsd', options, student });
    const within = { embedding: permuted(embedding, [1, 0, 2, 3]) };
    const inside = evaluate({ ...vectors, features: within, name: 'ddgsd', options, student });
    expectProportional(moved.values, same.values, 1e-5);
    expectProportional(inside.values, same.values, 1e-5);
  });

  it('needs a layer that the student has', () => {
    const { needs, options } = getMethod('ddgsd');
    expect(needs!(options.parse({}), ['stage1', 'embedding'])).toEqual({
      logits: false,
      features: [{ layer: 'embedding', encoder: 'vector@1' }],
    });
    expect(() => needs!(options.parse({ layer: 'embeding' }), ['embedding'])).toThrow(
      'Options of ddgsd: layer: the student has no layer "embeding"; did you mean "embedding"?',
    );
  });
});

describe('byot', () => {
  const shapes = { stage1: [4, 4, 2], stage2: [2, 2, 3], stage3: [1, 1, 2], embedding: [8] };
  const sizes = Object.entries(shapes).map(
    ([layer, shape]) => [layer, BATCH * shape.reduce((a, b) => a * b, 1)] as const,
  );
  const features = Object.fromEntries(
    sizes.map(([layer, size]) => [layer, normals(size, 1, `byot ${layer}`)]),
  );
  const given: Given = { name: 'byot', student, shapes, features };
  const setupOf = (student: FeatureShapes) => ({
    ...{
      student,
      teacher: null,
      classes: CLASSES,
      trainSize: 9,
      trainLabels: new Uint16Array(9),
      batchSize: 4,
      seed: 1,
    },
  });
  const modulesOf = (student: FeatureShapes, options: Record<string, unknown> = {}): Modules => {
    const { modules, options: schema } = getMethod('byot');
    return modules!(setupOf(student), schema.parse(options));
  };
  const initial = (): Record<string, number[]> => {
    const { parameters, buffers } = modulesOf(shapes);
    const values = [...parameters].map(([key, variable]) => [key, [...variable.dataSync()]] as const);
    tf.dispose([...parameters.values(), ...buffers.values()]);
    // Scales about 1, and offsets about 0: some units are on and some are off.
    return Object.fromEntries(
      values.map(([key, list]) => [
        key,
        normals(list.length, 0.4, key).map((value) => value + (key.endsWith('.bn.weight') ? 1 : 0)),
      ]),
    );
  };

  it('has the gradients of differences, in the stages and in the heads', () => {
    const modules = initial();
    const at = (changes: Partial<Given>) => weighed(evaluate({ ...given, modules, ...changes }).values);
    const result = evaluate({ ...given, modules });
    const check = (
      key: string,
      gradient: readonly number[],
      f: (x: readonly number[]) => number,
      x: readonly number[],
    ) => {
      const differences = (step: number) =>
        x.map((value, i) => (f(x.with(i, value + step)) - f(x.with(i, value - step))) / (2 * step));
      const [small, large] = [differences(4e-3), differences(8e-3)];
      const size = scaleOf([...small, 0.05]);
      // Where two steps disagree, there is the kink of a rectifier between them.
      const smooth = small.flatMap((value, i) =>
        Math.abs(value - large[i]!) < 3e-3 * size ? [[gradient[i]! / size, value / size]] : [],
      );
      expect(smooth.length, key).toBeGreaterThanOrEqual(0.5 * x.length);
      expectClose(
        smooth.map(([exact]) => exact!),
        smooth.map(([, difference]) => difference!),
        8e-3,
      );
    };
    for (const layer of ['stage1', 'stage2']) {
      const move = (values: readonly number[]) => at({ features: { ...features, [layer]: values } });
      check(layer, result.features[layer]!, move, features[layer]!);
    }
    for (const [key, values] of Object.entries(modules)) {
      const move = (moved: readonly number[]) => at({ modules: { ...modules, [key]: moved } });
      check(key, result.parameters[key]!, move, values);
    }
  });

  it('sends no gradient into the deepest classifier and its features', () => {
    const result = evaluate({ ...given, options: { alpha: 0.7, feature: 1 } });
    expect(result.logits).toEqual(zeros(student));
    expect(result.features.embedding).toEqual(zeros(features.embedding!));
    expect(scaleOf(result.features.stage1!)).toBeGreaterThan(1e-3);
  });

  it('is the mean cross-entropy of uniform predictions for heads that say nothing', () => {
    const silent = Object.fromEntries(
      ['stage1', 'stage2'].flatMap((stage) => [
        [`${stage}.classifier.weight`, zeros(normals(8 * CLASSES, 1, 'any'))],
        [`${stage}.classifier.bias`, Array.from({ length: CLASSES }, () => 7)],
      ]),
    );
    const { values } = evaluate({ ...given, modules: silent, options: { alpha: 0, feature: 0 } });
    expectClose(
      values,
      LABELS.map(() => 2 * Math.log(CLASSES)),
      1e-6,
    );
  });

  it('adds up its heads, each with variables of its own', () => {
    const alone = ['stage1', 'stage2'].map(
      (layer) => evaluate({ ...given, options: { layers: [layer] } }).values,
    );
    expectProportional(
      evaluate(given).values,
      alone[0]!.map((value, row) => value + alone[1]![row]!),
      1e-5,
    );
  });

  it('puts heads on all stages but the last, as wide as the features, on maps as small as the smallest', () => {
    const { parameters, buffers } = modulesOf({
      stage2: [14, 14, 5],
      stage1: [28, 28, 4],
      stage3: [7, 7, 6],
      embedding: [16],
    });
    const shapesOf = (part: string) =>
      ['stage1', 'stage2', 'stage3'].map((stage) => parameters.get(`${stage}.${part}`)?.shape);
    expect(shapesOf('narrow.conv.weight')).toEqual([[1, 1, 4, 4], [1, 1, 5, 4], undefined]);
    expect(shapesOf('shrink.conv.weight')).toEqual([[4, 4, 4, 4], [2, 2, 4, 4], undefined]);
    expect(shapesOf('widen.conv.weight')).toEqual([[1, 1, 4, 16], [1, 1, 4, 16], undefined]);
    expect(shapesOf('classifier.weight')).toEqual([[16, CLASSES], [16, CLASSES], undefined]);
    expect([...parameters.keys()][0]).toBe('stage1.narrow.conv.weight');
    expect(buffers.size).toBe(2 * 3 * 2);
    tf.dispose([...parameters.values(), ...buffers.values()]);
  });

  it('needs the maps of its heads and the features, and nobody’s logits', () => {
    const { needs, options } = getMethod('byot');
    expect(needs!(options.parse({}), Object.keys(shapes))).toEqual({
      logits: false,
      features: [
        { layer: 'stage1', encoder: 'map@1' },
        { layer: 'stage2', encoder: 'map@1' },
        { layer: 'embedding', encoder: 'vector@1' },
      ],
    });
  });

  it.each([
    [{ embedding: [8] }, {}, 'the student has no stages'],
    [{ stage1: [4, 4, 2], embedding: [8] }, {}, 'a single stage'],
    [{ stage1: [4, 4, 2], stage2: [2, 2, 3] }, {}, 'the student has no layer "embedding"'],
    [shapes, { layers: ['stage9'] }, 'the student has no layer "stage9"'],
    [shapes, { layers: ['embedding'] }, '"embedding" is a vector of 8, not a map'],
  ])('refuses layers that it cannot use: %j %j', async (student, options, message) => {
    await expectNoLeak(() => {
      expect(() => modulesOf(student as unknown as FeatureShapes, options)).toThrow(UsageError);
      expect(() => modulesOf(student as unknown as FeatureShapes, options)).toThrow(message);
    });
  });

  it('is finite where the features are all zero, or all equal', () => {
    for (const value of [0, 3]) {
      const flat = Object.fromEntries(sizes.map(([layer, size]) => [layer, new Array(size).fill(value)]));
      const result = evaluate({ ...given, features: flat, student: student.map((z) => 100 * z) });
      expect(allOf(result).every((each) => Math.abs(each) < 1e4)).toBe(true);
    }
  });

  it('is the same on wasm and on cpu, and leaves no tensors behind', async () => {
    await expectSameOnBoth(() => [tf.tensor1d(allOf(evaluate(given)))], 1e-4);
    await expectNoLeak(() => {
      evaluate(given);
    });
  });
});
