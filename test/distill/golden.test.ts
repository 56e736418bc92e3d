import { readdirSync, readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadBackend } from '../../src/backend/select.ts';
import { getMethod } from '../../src/distill/index.ts';
import { encodingKey, needsOf } from '../../src/distill/objective.ts';
import type { Modules, TeacherOutputs } from '../../src/distill/types.ts';
import { batchLoss } from '../../src/training/loss.ts';
import { expectClose } from '../support/tensors.ts';

/** A tensor as the scripts in test/fixtures/losses write it: row-major values. */
interface Golden {
  readonly shape: number[];
  readonly values: number[];
}

interface Teacher {
  readonly logits?: Golden;
  readonly encodings?: Record<string, Golden>;
}

interface Case {
  readonly name: string;
  readonly options: Record<string, unknown>;
  readonly epoch?: number;
  readonly epochs?: number;
  readonly ids?: number[];
  readonly labels: number[];
  readonly student: { readonly logits: Golden; readonly features?: Record<string, Golden> };
  readonly teacher: (Teacher & { readonly apart?: readonly Teacher[] }) | null;
  /** Values of the modules' parameters and buffers by name; the others keep their initial ones. */
  readonly modules?: Record<string, Golden>;
  /** Layers of the teacher, where modules depend on them. */
  readonly teacherShapes?: Record<string, number[]>;
  /** Mean over the batch of the term, and its gradients. */
  readonly expected: {
    readonly loss: number;
    readonly logits?: number[];
    readonly features?: Record<string, number[]>;
    readonly modules?: Record<string, number[]>;
  };
}

interface File {
  readonly method: string;
  /** Whose implementation it is, and in what words it reduces, directs the divergence, and uses T². */
  readonly implementation: string;
  readonly conventions: string;
  /** Which term the values are of; `supervised` takes the place of the cross-entropy. */
  readonly term: 'loss' | 'supervised' | 'init';
  readonly cases: readonly Case[];
}

/** Samples in the training set; the class of each is its id modulo the number of classes. */
const TRAIN_SIZE = 100;

const folder = new URL('../fixtures/losses/', import.meta.url);
const files = readdirSync(folder)
  .filter((name) => name.endsWith('.json'))
  .map((name) => [name, JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as File] as const);

const tensorOf = ({ shape, values }: Golden): tf.Tensor => tf.tensor(values, shape, 'float32');
const tensorsOf = (tensors: Record<string, Golden> = {}): Record<string, tf.Tensor> =>
  Object.fromEntries(Object.entries(tensors).map(([name, each]) => [name, tensorOf(each)]));
const shapesOf = (tensors: Record<string, Golden> = {}): Record<string, number[]> =>
  Object.fromEntries(Object.entries(tensors).map(([name, { shape }]) => [name, shape.slice(1)]));

beforeAll(async () => {
  await loadBackend('cpu');
});

/** Runs the function that training calls, with the one term that the file is about. */
async function evaluate({ method: name, term }: File, given: Case) {
  const method = getMethod(name);
  const options = method.options.parse(given.options);
  const layers = Object.keys(given.student.features ?? {});
  const classes = given.student.logits.shape[1]!;
  const modules: Modules = method.modules?.(
    {
      student: shapesOf(given.student.features),
      teacher: given.teacherShapes ?? null,
      classes,
      trainSize: TRAIN_SIZE,
      trainLabels: Uint16Array.from({ length: TRAIN_SIZE }, (_, id) => id % classes),
      batchSize: given.labels.length,
      seed: 1,
    },
    options,
  ) ?? { parameters: new Map(), buffers: new Map() };
  for (const [key, values] of Object.entries(given.modules ?? {})) {
    const variable = modules.parameters.get(key) ?? modules.buffers.get(key);
    if (!variable) throw new Error(`${name} has no module variable "${key}"`);
    variable.assign(tensorOf(values));
  }
  const isSupervised = term === 'supervised';
  const objective = {
    terms: [{ method, options, weight: isSupervised ? 0 : 1 }],
    ceWeight: isSupervised ? 1 : 0,
    standardise: false,
    teachers: method.teachers,
  };
  const needs = needsOf(objective.terms[0]!, layers);
  const teacherOf = ({ logits, encodings }: Teacher): TeacherOutputs => ({
    logits: logits ? (tensorOf(logits) as tf.Tensor2D) : null,
    encodings: Object.fromEntries(
      needs.features.map((need) => [encodingKey(need), tensorsOf(encodings)[need.layer]!]),
    ),
  });
  const result = batchLoss(objective, [modules], {
    student: {
      logits: tensorOf(given.student.logits) as tf.Tensor2D,
      features: tensorsOf(given.student.features),
    },
    labels: tf.tensor1d(given.labels, 'int32'),
    teacher: given.teacher && {
      ...teacherOf(given.teacher),
      ...(given.teacher.apart && { apart: given.teacher.apart.map(teacherOf) }),
    },
    ids: Uint32Array.from(given.ids ?? given.labels.keys()),
    step: 0,
    share: 1,
    epoch: given.epoch ?? 0,
    epochs: given.epochs ?? 1,
  });
  const [sum] = await result.sums.data();
  const read = async (tensor: tf.Tensor | null | undefined) => (tensor ? [...(await tensor.data())] : []);
  const [logits, ...features] = await Promise.all(result.outputs.map(read));
  const parameters = await Promise.all(result.modules.map(read));
  return {
    loss: sum! / given.labels.length,
    logits: logits!,
    features: Object.fromEntries(layers.map((layer, i) => [layer, features[i]!])),
    modules: Object.fromEntries([...modules.parameters.keys()].map((key, i) => [key, parameters[i]!])),
  };
}

/** Relative to the largest element: 1e-5 of a gradient, whatever its size. */
function expectRelative(actual: readonly number[], expected: readonly number[], what: string): void {
  const scale = Math.max(...expected.map(Math.abs), 1e-12);
  const all = [actual, expected].map((values) => values.map((value) => value / scale));
  expect(actual.length, what).toBe(expected.length);
  expectClose(all[0]!, all[1]!, 1e-5);
}

describe.each(files)('%s', (_, file) => {
  it.each(file.cases)('$name', async (given) => {
    const actual = await evaluate(file, given);
    const { expected } = given;
    expectRelative([actual.loss], [expected.loss], 'loss');
    if (expected.logits) expectRelative(actual.logits, expected.logits, 'gradient of the logits');
    for (const [layer, values] of Object.entries(expected.features ?? {}))
      expectRelative(actual.features[layer]!, values, `gradient of ${layer}`);
    for (const [key, values] of Object.entries(expected.modules ?? {}))
      expectRelative(actual.modules[key]!, values, `gradient of ${key}`);
  });
});
