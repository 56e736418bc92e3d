import { UsageError } from '../errors.ts';
import { lookUp } from '../names.ts';

/** Every model that has a name of its own, small to large within a family; `wrn-d-k` stands for more. */
export const MODEL_NAMES = [
  'mlp',
  'cnn-s',
  'lenet5',
  'resnet8',
  'resnet14',
  'resnet20',
  'resnet32',
  'resnet44',
  'resnet56',
  'resnet110',
  'resnet8x4',
  'resnet32x4',
  'wrn-16-2',
  'wrn-40-2',
  'vgg8',
  'vgg11',
  'vgg13',
  'mobilenetv2',
] as const;
export type ModelName = (typeof MODEL_NAMES)[number];

const known = Object.fromEntries(MODEL_NAMES.map((name) => [name, name])) as Record<ModelName, ModelName>;

/** What a model's name stands for. */
export type NamedModel =
  | { readonly kind: 'named'; readonly name: ModelName }
  | { readonly kind: 'wideResnet'; readonly depth: number; readonly widening: number };

/** Whether a model is given as the path of a module, and not by a name. */
export function isModelPath(model: string): boolean {
  return /[\\/]|\.[cm]?js$/.test(model);
}

/** @throws {UsageError} for a name that stands for no model, naming those that do */
export function parseModelName(name: string): NamedModel {
  return parseWideResnet(name) ?? { kind: 'named', name: lookUp('model', known, name) };
}

function parseWideResnet(name: string): NamedModel | undefined {
  const match = /^wrn-(\d+)-(\d+)$/.exec(name);
  if (!match) return undefined;
  const depth = Number(match[1]);
  const widening = Number(match[2]);
  if (depth < 10 || depth % 6 !== 4) {
    const nearest = 6 * Math.max(1, Math.round((depth - 4) / 6)) + 4;
    throw new UsageError(
      `Model "${name}": the depth of a wide residual network must be 6n + 4 (10, 16, 22, 28, 34, 40, ...), got ${depth}; the nearest is "wrn-${nearest}-${widening}".`,
    );
  }
  if (widening < 1) throw new UsageError(`Model "${name}": the widening must be 1 or more, got ${widening}.`);
  return { kind: 'wideResnet', depth, widening };
}
