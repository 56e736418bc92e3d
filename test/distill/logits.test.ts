import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadBackend } from '../../src/backend/select.ts';
import { getMethod } from '../../src/distill/index.ts';
import type { EnsembleKind, Modules } from '../../src/distill/types.ts';
import { UsageError } from '../../src/errors.ts';
import { vjp } from '../../src/training/vjp.ts';
import { crossEntropies, divergences, normals, numericGradient, softmax, sumOf } from '../support/numeric.ts';
import { expectClose, expectNoLeak, rowsOf } from '../support/tensors.ts';

beforeAll(async () => {
  await loadBackend('wasm');
});

const CLASSES = 5;
const WIDTH = 6;
const LABELS = [2, 0, 4, 2];
const student = normals(LABELS.length * CLASSES, 2, 'student');
const teacher = normals(LABELS.length * CLASSES, 2, 'teacher');

/** What a method takes from its paper; what is not said is the usual. */
interface Facts {
  /** Of labels and distillation. */
  readonly weights: readonly [ce: number, kd: number];
  readonly options: Record<string, unknown>;
  readonly ensemble?: EnsembleKind;
  readonly includesSelf?: boolean;
  readonly wholeBatch?: boolean;
  readonly sends?: 'ema';
}

/** Methods whose loss compares the student's logits with those of one teacher. */
const TAUGHT: Readonly<Record<string, Facts>> = {
  dml: { weights: [1, 2], options: { temperature: 2 } },
  codistillation: { weights: [1, 1], options: { divergence: 'cross-entropy' } },
  kdcl: {
    weights: [1, 1],
    options: { temperature: 2, target: 'minlogit' },
    ...{ ensemble: 'min-logit', includesSelf: true },
  },
  pcl: { weights: [1, 1], options: { temperature: 3, decay: 0.999 }, sends: 'ema' },
  kd: { weights: [0.1, 0.9], options: { temperature: 4 } },
  dkd: { weights: [1, 1], options: { temperature: 4, alpha: 1, beta: 8, warmUpEpochs: 20 } },
  dist: { weights: [1, 2], options: { temperature: 4, beta: 1, gamma: 1 }, wholeBatch: true },
  mlkd: {
    weights: [0.1, 0.9],
    options: { temperatures: [2, 3, 4, 5, 6], lessCertainHalf: false },
    wholeBatch: true,
  },
  wsld: { weights: [1, 2.5], options: { temperature: 2 } },
  ctkd: { weights: [0.1, 0.9], options: { least: 1, range: 20, rampEpochs: 10 } },
  nkd: { weights: [1, 1], options: { temperature: 1, gamma: 1.5 } },
};

/** Cases of these methods that differ in what is differentiated. */
const VARIANTS: readonly [name: string, options: Record<string, unknown>][] = [
  ...Object.keys(TAUGHT).map((name): [string, Record<string, unknown>] => [name, {}]),
  ['codistillation', { divergence: 'reverse-kl' }],
  ['dkd', { temperature: 1, alpha: 2, beta: 0.5 }],
  ['dist', { temperature: 1, beta: 0.5, gamma: 2 }],
  ['mlkd', { temperatures: [1], lessCertainHalf: true }],
  ['label-smoothing', { epsilon: 0.3 }],
];

interface Peer {
  readonly logits: readonly number[];
  readonly embedding: readonly number[];
}

/** All that a loss depends on, in plain numbers. */
interface Given {
  readonly name: string;
  readonly options?: Record<string, unknown>;
  readonly student: readonly number[];
  readonly teacher?: readonly number[];
  readonly labels?: readonly number[];
  readonly epoch?: number;
  /** Of the student. */
  readonly embedding?: readonly number[];
  readonly apart?: readonly Peer[];
  /** Values of the modules' parameters; the initial ones when absent. */
  readonly modules?: Record<string, readonly number[]>;
}

/** The loss of each sample, and the gradients of their sum. */
interface Evaluation {
  readonly values: number[];
  readonly logits: number[];
  readonly embedding: number[];
  readonly modules: Record<string, number[]>;
}

function evaluate(given: Given): Evaluation {
  const { name, labels = LABELS, epoch = 1000 } = given;
  const method = getMethod(name);
  const options = method.options.parse(given.options ?? {});
  const classes = given.student.length / labels.length;
  const shapes = given.embedding ? { embedding: [given.embedding.length / labels.length] } : {};
  const setup = { classes, trainSize: 9, trainLabels: new Uint16Array(9), batchSize: labels.length, seed: 1 };
  const modules: Modules = method.modules?.({ ...setup, student: shapes, teacher: shapes }, options) ?? {
    parameters: new Map(),
    buffers: new Map(),
  };
  const parameters = [...modules.parameters.values()];
  const result = tf.tidy(() => {
    for (const [key, values] of Object.entries(given.modules ?? {})) {
      const variable = modules.parameters.get(key)!;
      variable.assign(tf.tensor([...values], variable.shape));
    }
    const rows = (values: readonly number[]) => rowsOf(values, values.length / labels.length);
    const z = rows(given.student);
    const features = given.embedding ? { embedding: rows(given.embedding) } : {};
    const loss = method.loss ?? method.supervised!;
    const pass = vjp(
      () => [
        loss({
          student: { logits: z, features },
          labels: tf.tensor1d([...labels], 'int32'),
          teacher: {
            logits: given.teacher ? rows(given.teacher) : null,
            encodings: {},
            apart: (given.apart ?? []).map((peer) => ({
              logits: rows(peer.logits),
              encodings: { embedding: rows(peer.embedding) },
            })),
          },
          options,
          modules,
          ids: Uint32Array.from(labels.keys()),
          step: 0,
          epoch,
          epochs: 1000,
        }),
      ],
      [z, ...Object.values(features), ...parameters],
    );
    expect(pass.outputs[0]!.shape).toEqual([labels.length]);
    const values = [...pass.outputs[0]!.dataSync()];
    const gradients = pass
      .backward([tf.ones([labels.length])])
      .map((gradient) => (gradient ? [...gradient.dataSync()] : []));
    const first = gradients.length - parameters.length;
    return {
      values,
      logits: gradients[0]!,
      embedding: first > 1 ? gradients[1]! : [],
      modules: Object.fromEntries(
        [...modules.parameters.keys()].map((key, i) => [key, gradients[first + i]!]),
      ),
    } as unknown as tf.TensorContainer;
  }) as unknown as Evaluation;
  for (const variable of parameters) variable.dispose();
  return result;
}

const valuesOf = (given: Given): number[] => evaluate(given).values;

/** By central differences of the float32 loss, with a step that is large enough for it. */
function differences(f: (x: readonly number[]) => readonly number[], at: readonly number[]): number[] {
  const step = 2 ** -6;
  return at.map((value, i) => {
    const [above, below] = [f(at.with(i, value + step)), f(at.with(i, value - step))];
    return sumOf(above.map((each, row) => each - below[row]!)) / (2 * step);
  });
}

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

const permuted = (values: readonly number[], order: readonly number[]): number[] => {
  const width = values.length / order.length;
  return order.flatMap((row) => values.slice(row * width, (row + 1) * width));
};

describe('the methods on logits', () => {
  it.each([
    ...Object.entries(TAUGHT),
    ['okddip', { weights: [1, 1], options: { temperature: 3, reduction: 8 }, ensemble: 'apart' }] as const,
  ] as const)('have the options, weights and ensembles of their papers: %s', (name, facts: Facts) => {
    const method = getMethod(name);
    const { ce, kd } = method.weights;
    const options = method.options.parse({});
    expect({ teachers: method.teachers, weights: [ce, kd], options }).toEqual({
      ...{ teachers: 'peers', weights: facts.weights, options: facts.options },
    });
    expect(method.ensemble?.(options)).toBe(facts.ensemble);
    expect(method.includesSelf).toBe(facts.includesSelf);
    expect(method.wholeBatch).toBe(facts.wholeBatch);
    expect(method.sends).toBe(facts.sends);
  });

  it('have the options and weights of their papers: label-smoothing', () => {
    const { teachers, weights, options } = getMethod('label-smoothing');
    expect([teachers, weights, options.parse({})]).toEqual(['none', { ce: 1, kd: 0 }, { epsilon: 0.1 }]);
  });

  it('choose the ensembles of KDCL', () => {
    const kdcl = getMethod('kdcl');
    const kinds = ['naive', 'linear', 'minlogit', 'general'].map((target) =>
      kdcl.ensemble!(kdcl.options.parse({ target })),
    );
    expect(kinds).toEqual(['best', 'linear', 'min-logit', 'weighted']);
  });
});

describe.each(VARIANTS)('the loss of %s with %o', (name, options) => {
  const given: Given = { name, options, student, teacher };

  it('has the gradient of central differences', () => {
    // The weights of wsld are constants: see its own test.
    if (name === 'wsld') return;
    const numeric = differences((z) => valuesOf({ ...given, student: z }), student);
    expectProportional(evaluate(given).logits, numeric, 2e-3);
  });

  it('does not change when all logits of a row are shifted', () => {
    const shift = (values: readonly number[]) =>
      values.map((value, i) => value + Math.floor(i / CLASSES) - 4);
    const shifted = evaluate({ ...given, student: shift(student), teacher: shift(teacher) });
    const plain = evaluate(given);
    expectProportional(shifted.values, plain.values, 1e-5);
    expectProportional(shifted.logits, plain.logits, 1e-5);
  });

  it('follows the rows of the batch', () => {
    const order = [2, 0, 3, 1];
    const moved = evaluate({
      ...given,
      student: permuted(student, order),
      teacher: permuted(teacher, order),
      labels: permuted(LABELS, order),
    });
    const plain = evaluate(given);
    expectProportional(moved.values, permuted(plain.values, order), 1e-5);
    expectProportional(moved.logits, permuted(plain.logits, order), 1e-5);
  });

  it('follows the classes', () => {
    const order = [4, 2, 0, 3, 1];
    const reorder = (values: readonly number[]) =>
      values.map((_, i) => values[i - (i % CLASSES) + order[i % CLASSES]!]!);
    const moved = evaluate({
      ...given,
      student: reorder(student),
      teacher: reorder(teacher),
      labels: LABELS.map((label) => order.indexOf(label)),
    });
    const plain = evaluate(given);
    expectProportional(moved.values, plain.values, 1e-5);
    expectProportional(moved.logits, reorder(plain.logits), 1e-5);
  });

  it.each([
    { what: 'equal logits', student: () => 0, teacher: () => 0 },
    { what: 'a student that prefers nothing', student: () => 0.7, teacher: (i: number) => i % 3 },
    { what: 'a teacher that prefers nothing', student: (i: number) => i % 3, teacher: () => -2 },
    { what: 'certainty', student: (i: number) => (i % 7 === 0 ? 200 : -200), teacher: () => 1 },
    {
      what: 'opposite certainties',
      student: (i: number) => (i % CLASSES === 0 ? 1e4 : 0),
      teacher: (i: number) => (i % CLASSES === 3 ? 1e4 : 0),
    },
    {
      what: 'a certain teacher of small logits',
      student: (i: number) => 1e-20 * (i % CLASSES),
      teacher: (i: number) => (i % CLASSES === 1 ? 1e3 : 0),
    },
  ])('and its gradient are finite for $what', ({ student: z, teacher: t }) => {
    const extreme = { ...given, student: student.map((_, i) => z(i)), teacher: teacher.map((_, i) => t(i)) };
    for (const epoch of [0, 1000]) {
      const { values, logits, modules } = evaluate({ ...extreme, epoch });
      expect(values.every(Number.isFinite)).toBe(true);
      // Bounded too: by the size of the logits, not by one over their differences.
      expect([...logits, ...Object.values(modules).flat()].every((value) => Math.abs(value) < 1e6)).toBe(
        true,
      );
    }
  });

  it('takes a batch of one and two classes', () => {
    const { values, logits } = evaluate({ ...given, student: [1, -0.5], teacher: [0.25, 2], labels: [1] });
    expect([...values, ...logits].every(Number.isFinite)).toBe(true);
  });

  it('leaves no tensors behind', async () => {
    await expectNoLeak(() => {
      evaluate(given);
    });
  });
});

describe('a student that agrees with its teacher', () => {
  it.each([
    ...['dml', 'kdcl', 'pcl', 'kd', 'dkd', 'dist', 'mlkd', 'ctkd'].map((name) => [name, {}] as const),
    ['codistillation', { divergence: 'reverse-kl' }] as const,
    ['mlkd', { lessCertainHalf: true }] as const,
  ])('has no loss and no gradient in %s %o', (name, options) => {
    const { values, logits, modules } = evaluate({ name, options, student, teacher: student });
    const size = scaleOf(evaluate({ name, options, student, teacher }).values);
    expectClose(
      values.map((value) => value / size),
      LABELS.map(() => 0),
      1e-5,
    );
    expectClose(
      [...logits, ...Object.values(modules).flat()].map((value) => value / size),
      [...student, ...Object.values(modules).flat()].map(() => 0),
      1e-5,
    );
  });

  it.each(['codistillation', 'wsld'])('has the least loss, and no gradient, in %s', (name) => {
    const agreed = evaluate({ name, student, teacher: student });
    expectClose(
      agreed.logits,
      student.map(() => 0),
      1e-6,
    );
  });

  it('has the entropy of its teacher as the loss of codistillation', () => {
    const p = softmax(student, CLASSES);
    const entropies = LABELS.map((_, row) =>
      sumOf(p.slice(row * CLASSES, (row + 1) * CLASSES).map((value) => -value * Math.log(value))),
    );
    expectClose(valuesOf({ name: 'codistillation', student, teacher: student }), entropies, 1e-6);
  });
});

describe('the loss of codistillation', () => {
  it('has the gradient of the divergence from the teacher, without a temperature', () => {
    const numeric = numericGradient((z) => sumOf(divergences(z, teacher, CLASSES, 1)), student);
    expectClose(evaluate({ name: 'codistillation', student, teacher }).logits, numeric, 1e-6);
  });

  it('goes from the student to the teacher when it is reversed', () => {
    const options = { divergence: 'reverse-kl' };
    const expected = divergences(teacher, student, CLASSES, 1);
    expectClose(valuesOf({ name: 'codistillation', options, student, teacher }), expected, 1e-6);
  });
});

describe('the loss of dkd', () => {
  it('is that of kd when the other classes weigh what the teacher leaves them', () => {
    const T = 4;
    const p = softmax(teacher, CLASSES, T);
    const plain = valuesOf({ name: 'kd', student, teacher });
    for (const [row, label] of LABELS.entries()) {
      const options = { temperature: T, beta: 1 - p[row * CLASSES + label]! };
      expect(valuesOf({ name: 'dkd', options, student, teacher })[row]).toBeCloseTo(plain[row]!, 4);
    }
  });

  it('warms up from nothing, with the fraction of the epoch', () => {
    const at = (epoch: number) => valuesOf({ name: 'dkd', student, teacher, epoch });
    expect(at(0)).toEqual([0, 0, 0, 0]);
    expectProportional(
      at(5.5),
      at(20).map((value) => value * 0.275),
      1e-6,
    );
    expect(at(40)).toEqual(at(20));
  });
});

describe('the loss of dist', () => {
  it('is 0 for probabilities that are linear in those of the teacher', () => {
    // Half of each probability, and as much for each class: other probabilities, and the same correlations.
    const half = softmax(teacher, CLASSES).map((p) => Math.log(p / 2 + 0.5 / CLASSES));
    const options = { temperature: 1 };
    // Up to the 1e-8 in the denominators, against columns of small probabilities.
    expectClose(valuesOf({ name: 'dist', options, student: half, teacher }), [0, 0, 0, 0], 2e-5);
    expect(sumOf(valuesOf({ name: 'kd', options, student: half, teacher }))).toBeGreaterThan(0.1);
  });

  it('has no gradient in a row that prefers nothing, beyond that of its columns', () => {
    const z = student.map((value, i) => (i < CLASSES ? 3 : value));
    const { logits } = evaluate({ name: 'dist', options: { gamma: 0 }, student: z, teacher });
    expect(logits.slice(0, CLASSES)).toEqual([0, 0, 0, 0, 0]);
    expect(scaleOf(logits.slice(CLASSES))).toBeGreaterThan(0.01);
  });
});

describe('the loss of mlkd', () => {
  it('adds up its temperatures', () => {
    const at = (temperatures: number[]) =>
      valuesOf({ name: 'mlkd', options: { temperatures }, student, teacher });
    const [two, five] = [at([2]), at([5])];
    expectProportional(
      at([2, 5]),
      two.map((value, i) => value + five[i]!),
      1e-6,
    );
  });

  it('leaves out the samples of which the teacher is more certain, and only those', () => {
    const options = { temperatures: [3] };
    const certainty = LABELS.map((_, row) =>
      Math.max(...softmax(teacher, CLASSES).slice(row * CLASSES, (row + 1) * CLASSES)),
    );
    const order = [...certainty.keys()].sort((i, j) => certainty[i]! - certainty[j]!);
    const values = valuesOf({
      name: 'mlkd',
      options: { ...options, lessCertainHalf: true },
      student,
      teacher,
    });
    // What all samples share is left to the two that do not count.
    const shared = values[order[3]!]!;
    expect(values[order[2]!]).toBeCloseTo(shared, 5);
    const own = (row: number) => values[row]! - shared;
    const all = valuesOf({ name: 'mlkd', options, student, teacher });
    expect(own(order[0]!) - own(order[1]!)).toBeCloseTo(all[order[0]!]! - all[order[1]!]!, 4);
  });
});

describe('the loss of nkd', () => {
  const given: Given = { name: 'nkd', student, teacher };
  /** Of the teacher, at temperature 1. */
  const ofTrue = LABELS.map((label, row) => softmax(teacher, CLASSES)[row * CLASSES + label]!);
  const supervised = crossEntropies(student, CLASSES, LABELS);

  it('is the cross-entropy as much as the teacher is certain, without the other classes', () => {
    const values = valuesOf({ ...given, options: { gamma: 0 } });
    expectClose(
      values,
      supervised.map((value, row) => ofTrue[row]! * value),
      1e-5,
    );
  });

  it('has no gradient among the other classes when the two agree on those, whatever the true one', () => {
    const isTrue = (i: number): boolean => i % CLASSES === LABELS[Math.floor(i / CLASSES)];
    // 3 more for all others, and something else for the true class.
    const agreeing = student.map((value, i) => (isTrue(i) ? 1 : value + 3));
    const at = (gamma: number) => evaluate({ ...given, teacher: agreeing, options: { gamma } }).logits;
    expectClose(at(1.5), at(0), 1e-5);
    const gradient = evaluate(given).logits.map(
      (value, i) => value - evaluate({ ...given, options: { gamma: 0 } }).logits[i]!,
    );
    expect(Math.max(...gradient.map(Math.abs))).toBeGreaterThan(0.1);
  });
});

describe('the loss of wsld', () => {
  const T = 2;
  const ratios = (z: readonly number[]) => {
    const ofTeacher = crossEntropies(teacher, CLASSES, LABELS);
    return crossEntropies(z, CLASSES, LABELS).map((value, row) => value / ofTeacher[row]!);
  };
  /** With the weights of `at`, whatever `z` is. */
  const reference = (z: readonly number[], at: readonly number[]) => {
    const p = softmax(teacher, CLASSES, T);
    const q = softmax(z, CLASSES, T);
    return ratios(at).map((ratio, row) => {
      const soft = p.slice(row * CLASSES, (row + 1) * CLASSES);
      const entropy = -sumOf(soft.map((value, c) => value * Math.log(q[row * CLASSES + c]!)));
      return T * T * (1 - Math.exp(-ratio)) * entropy;
    });
  };

  it('weights each sample by how much better its teacher knows it', () => {
    expectClose(valuesOf({ name: 'wsld', student, teacher }), reference(student, student), 1e-5);
  });

  it('has the gradient of central differences with the weights held', () => {
    const numeric = numericGradient((z) => sumOf(reference(z, student)), student);
    expectClose(evaluate({ name: 'wsld', student, teacher }).logits, numeric, 1e-5);
  });
});

describe('the temperature of ctkd', () => {
  // Large enough that the loss depends on the temperature visibly.
  const [z, t] = [student, teacher].map((values) => values.map((value) => 6 * value)) as [number[], number[]];
  const at = (theta: number, epoch: number, options = {}) =>
    evaluate({ name: 'ctkd', options, student: z, teacher: t, epoch, modules: { theta: [theta] } });

  it('starts at 1 + 20 σ(1)', () => {
    const T = 1 + 20 / (1 + Math.exp(-1));
    const expected = divergences(z, t, CLASSES, T).map((value) => T * T * value);
    expectProportional(valuesOf({ name: 'ctkd', student: z, teacher: t }), expected, 1e-5);
  });

  it.each([
    { epoch: 0, strength: 0 },
    { epoch: 2.5, strength: (1 - Math.SQRT1_2) / 2 },
    { epoch: 5, strength: 0.5 },
    { epoch: 10, strength: 1 },
    { epoch: 500, strength: 1 },
  ])('climbs the loss with strength $strength at epoch $epoch', ({ epoch, strength }) => {
    for (const theta of [-2, 0.5]) {
      const [slope] = differences(([x]) => at(x!, epoch).values, [theta]);
      expect(Math.abs(slope!)).toBeGreaterThan(1);
      const { theta: gradient } = at(theta, epoch).modules;
      expect(gradient![0]).toBeCloseTo(-strength * slope!, 1);
      expect(Math.abs(gradient![0]! + strength * slope!)).toBeLessThan(2e-3 * Math.abs(slope!));
    }
  });

  it('leaves the student to descend', () => {
    const numeric = differences((x) => valuesOf({ name: 'ctkd', student: x, teacher: t }), z);
    expectProportional(evaluate({ name: 'ctkd', student: z, teacher: t }).logits, numeric, 2e-3);
  });
});

describe('label smoothing', () => {
  it('without smoothing is the cross-entropy', () => {
    const values = valuesOf({ name: 'label-smoothing', options: { epsilon: 0 }, student });
    expectClose(values, crossEntropies(student, CLASSES, LABELS), 1e-6);
  });

  it('is the cross-entropy with the smoothed labels', () => {
    const p = softmax(student, CLASSES);
    const expected = LABELS.map((label, row) =>
      sumOf(
        p
          .slice(row * CLASSES, (row + 1) * CLASSES)
          .map((value, c) => -((c === label ? 0.9 : 0) + 0.1 / CLASSES) * Math.log(value)),
      ),
    );
    expectClose(valuesOf({ name: 'label-smoothing', student }), expected, 1e-6);
  });
});

describe('the loss of okddip', () => {
  const rows = LABELS.length;
  const embedding = normals(rows * WIDTH, 0.7, 'embedding');
  const apart: Peer[] = ['a', 'b', 'c'].map((key) => ({
    logits: normals(rows * CLASSES, 2, `logits ${key}`),
    embedding: normals(rows * WIDTH, 0.7, `embedding ${key}`),
  }));
  const modules = { query: normals(WIDTH * 2, 0.6, 'query'), key: normals(WIDTH * 2, 0.6, 'key') };
  const given = { name: 'okddip', options: { reduction: 3 }, student, embedding, apart, modules };

  it('has the gradients of central differences: of logits, embedding, queries and keys', () => {
    const { logits, embedding: ofEmbedding, modules: ofModules } = evaluate(given);
    const numeric = {
      logits: differences((x) => valuesOf({ ...given, student: x }), student),
      embedding: differences((x) => valuesOf({ ...given, embedding: x }), embedding),
      query: differences((x) => valuesOf({ ...given, modules: { ...modules, query: x } }), modules.query),
      key: differences((x) => valuesOf({ ...given, modules: { ...modules, key: x } }), modules.key),
    };
    expectProportional(logits, numeric.logits, 2e-3);
    expectProportional(ofEmbedding, numeric.embedding, 2e-3);
    expectProportional(ofModules.query!, numeric.query, 2e-3);
    expectProportional(ofModules.key!, numeric.key, 2e-3);
  });

  it('without attention is the divergence from the mean of all logits, its own included', () => {
    const zero = { query: modules.query.map(() => 0), key: modules.key };
    const mean = student.map((value, i) => (value + sumOf(apart.map(({ logits }) => logits[i]!))) / 4);
    const expected = divergences(student, mean, CLASSES, 3).map((value) => 9 * value);
    expectClose(valuesOf({ ...given, modules: zero }), expected, 1e-5);
  });

  it('with attention to one peer alone is the divergence from that one', () => {
    // A key of the last peer that is much more like the query than those of the others.
    const focused = apart.map((peer, i) => ({
      ...peer,
      embedding: peer.embedding.map((_, k) => (i === 2 && k % WIDTH === 0 ? 1 : 0)),
    }));
    const first = embedding.map((_, k) => (k % WIDTH === 1 ? 1 : 0));
    const [query, key] = [1, 0].map((row) => modules.query.map((_, k) => (k === 2 * row ? 10 : 0))) as [
      number[],
      number[],
    ];
    const values = valuesOf({ ...given, embedding: first, apart: focused, modules: { query, key } });
    const expected = divergences(student, apart[2]!.logits, CLASSES, 3).map((value) => 9 * value);
    expectClose(values, expected, 1e-5);
  });

  it('does not depend on the order of the peers, and follows the rows', () => {
    const plain = evaluate(given);
    expectProportional(valuesOf({ ...given, apart: apart.toReversed() }), plain.values, 1e-5);
    const order = [2, 0, 3, 1];
    const moved = evaluate({
      ...given,
      student: permuted(student, order),
      embedding: permuted(embedding, order),
      apart: apart.map((peer) => ({
        logits: permuted(peer.logits, order),
        embedding: permuted(peer.embedding, order),
      })),
    });
    expectProportional(moved.values, permuted(plain.values, order), 1e-5);
    expectProportional(moved.modules.key!, plain.modules.key!, 1e-5);
  });

  it('is 0 for peers that agree, whatever their embeddings', () => {
    const agreed = apart.map((peer) => ({ ...peer, logits: student }));
    expectClose(valuesOf({ ...given, apart: agreed }), [0, 0, 0, 0], 1e-5);
  });

  it('is finite for certain logits and far embeddings', () => {
    const far = {
      logits: student.map((_, i) => (i % 3 ? 1e4 : 0)),
      embedding: embedding.map((_, i) => 1e3 * (i % 2)),
    };
    const extreme = evaluate({ ...given, apart: [far, { ...far, embedding: embedding.map(() => 0) }] });
    const all = [extreme.values, extreme.logits, extreme.embedding, ...Object.values(extreme.modules)].flat();
    expect(all.every(Number.isFinite)).toBe(true);
  });

  it('needs the embeddings as they are, of one width', () => {
    const okddip = getMethod('okddip');
    const options = okddip.options.parse({});
    expect(okddip.needs!(options, [])).toEqual({
      logits: true,
      features: [{ layer: 'embedding', encoder: 'vector@1' }],
    });
    const setup = { classes: 5, trainSize: 9, trainLabels: new Uint16Array(9), batchSize: 2, seed: 1 };
    const withWidths = (own: number, theirs: number) =>
      okddip.modules!({ ...setup, student: { embedding: [own] }, teacher: { embedding: [theirs] } }, options);
    expect(() => withWidths(8, 16)).toThrow(
      'okddip: peers need embeddings of one width, these have 8 and 16.',
    );
    expect(() => okddip.modules!({ ...setup, student: {}, teacher: null }, options)).toThrow(UsageError);
    const made = withWidths(16, 16);
    expect([...made.parameters.values()].map(({ shape }) => shape)).toEqual([
      [16, 2],
      [16, 2],
    ]);
    for (const variable of made.parameters.values()) variable.dispose();
  });

  it('leaves no tensors behind', async () => {
    await expectNoLeak(() => {
      evaluate(given);
    });
  });
});
