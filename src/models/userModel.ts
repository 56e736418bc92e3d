import * as tf from '@tensorflow/tfjs';
import { messageOf, UsageError } from '../errors.ts';
import { fromLayersModel } from './layersModel.ts';
import type { Model, ModelFactory, ModelOptions } from './types.ts';

/**
 * The maker of the models of a user's module, whose default export is a function from {@link ModelOptions} to a
 * {@link Model} or to a `tf.LayersModel` that gives logits. Every model is checked by a dry run before it is handed
 * out.
 *
 * @param module what `import()` of the file gave
 * @param path the file, for messages and as the name of layers models
 * @throws {UsageError} at once when there is no such function; the maker throws it when what that returns will not do
 */
export function modelFromModule(module: unknown, path: string): ModelFactory {
  const make = (module as { default?: unknown } | null | undefined)?.default;
  if (typeof make !== 'function') {
    throw new UsageError(
      `${path}: expected "export default function (options) { ... }" that returns a model, got ${describe(make)} as the default export.`,
    );
  }
  return (options) => {
    const made: unknown = attempt(`${path}: making the model failed`, () => make(options));
    const model = isLayersModel(made) ? fromLayersModel(stem(path), made, options) : asModel(made, path);
    try {
      checkSizes(model, options, path);
      dryRun(model, path);
    } catch (error) {
      model.dispose();
      throw error;
    }
    return model;
  };
}

function attempt<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new UsageError(`${what}: ${messageOf(error)}`, { cause: error });
  }
}

/** By its shape rather than its class: the user's file may have a copy of TensorFlow.js of its own. */
function isLayersModel(value: unknown): value is tf.LayersModel {
  const { layers, apply, dispose } = (value ?? {}) as Partial<Record<keyof tf.LayersModel, unknown>>;
  return Array.isArray(layers) && typeof apply === 'function' && typeof dispose === 'function';
}

const isFunction = (value: unknown): boolean => typeof value === 'function';

const areVariables = (value: unknown): boolean =>
  value instanceof Map && [...value.values()].every((variable) => variable instanceof tf.Variable);

const members: readonly [keyof Model, expected: string, isRight: (value: unknown) => boolean][] = [
  ['name', 'a string', (value) => typeof value === 'string'],
  ['inputShape', 'an array [height, width, channels]', Array.isArray],
  ['classes', 'a number', (value) => typeof value === 'number'],
  [
    'parameters',
    'a Map of tf.Variable with one entry or more',
    (value) => areVariables(value) && (value as Map<string, unknown>).size > 0,
  ],
  ['buffers', 'a Map of tf.Variable', areVariables],
  ['forward', 'a function (images, training)', isFunction],
  ['dispose', 'a function', isFunction],
];

function asModel(value: unknown, path: string): Model {
  if (typeof value !== 'object' || value === null || value instanceof Promise) {
    throw new UsageError(
      `${path}: expected the default function to return a model or a tf.LayersModel, got ${describe(value)}.`,
    );
  }
  const wrong = members.flatMap(([member, expected, isRight]) => {
    const actual = (value as Record<string, unknown>)[member];
    return isRight(actual) ? [] : [`"${member}" must be ${expected}, got ${describe(actual)}`];
  });
  if (wrong.length > 0) throw new UsageError(`${path}: in the model it returns, ${wrong.join('; ')}.`);
  return value as Model;
}

function checkSizes(model: Model, { inputShape, classes }: ModelOptions, path: string): void {
  if (model.classes === classes && String(model.inputShape) === String(inputShape)) return;
  throw new UsageError(
    `${path}: asked for a model of images [${inputShape.join(', ')}] and ${classes} classes, got one of [${model.inputShape.join(', ')}] and ${model.classes}.`,
  );
}

/** Evaluates two black images and checks the shapes of what comes out. */
function dryRun(model: Model, path: string): void {
  const batch = 2;
  tf.tidy(() => {
    const images = tf.zeros<tf.Rank.R4>([batch, ...model.inputShape]);
    const pass: Partial<ReturnType<Model['forward']>> | undefined = attempt(
      `${path}: the forward pass of two black images failed`,
      () => model.forward(images, false),
    );
    const logits: unknown = pass?.logits;
    if (!(logits instanceof tf.Tensor) || String(logits.shape) !== `${batch},${model.classes}`) {
      throw new UsageError(
        `${path}: expected forward() to return { logits, features } with logits [batch, ${model.classes}], so [${batch}, ${model.classes}] for ${batch} images, got ${describe(logits)}.`,
      );
    }
    for (const [name, feature] of Object.entries({ ...pass?.features } as Record<string, unknown>)) {
      if (feature instanceof tf.Tensor && feature.shape[0] === batch) continue;
      throw new UsageError(
        `${path}: expected feature "${name}" to be a tensor [batch, ...], got ${describe(feature)}.`,
      );
    }
  });
}

/** `model.js` without folder and extension. */
const stem = (path: string): string =>
  path
    .split(/[\\/]/)
    .at(-1)!
    .replace(/\.[^.]+$/, '');

/** What a value is, for messages. */
function describe(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (value instanceof tf.Tensor) return `a tensor [${value.shape.join(', ')}]`;
  if (value instanceof Promise) return 'a promise (the function must not be async)';
  if (value instanceof Map) return `a Map of ${value.size} entries`;
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
