import { lookUp } from '../names.ts';
import { type Architecture, instantiate } from './architecture.ts';
import { cnnS } from './cnnS.ts';
import { lenet5 } from './lenet5.ts';
import { mlp } from './mlp.ts';
import { mobilenetv2 } from './mobilenetv2.ts';
import { resnet } from './resnet.ts';
import type { Model, ModelFactory, ModelOptions } from './types.ts';
import { vgg } from './vgg.ts';
import { parseWideResnet, wideResnet } from './wideResnet.ts';

const narrow = [16, 16, 32, 64] as const;
const wide = [32, 64, 128, 256] as const;

/** Every model that has a name of its own, small to large within a family; `wrn-d-k` stands for more. */
const architectures: Readonly<Record<string, Architecture>> = {
  mlp,
  'cnn-s': cnnS,
  lenet5,
  resnet8: resnet(8, narrow),
  resnet14: resnet(14, narrow),
  resnet20: resnet(20, narrow),
  resnet32: resnet(32, narrow),
  resnet44: resnet(44, narrow),
  resnet56: resnet(56, narrow),
  resnet110: resnet(110, narrow),
  resnet8x4: resnet(8, wide),
  resnet32x4: resnet(32, wide),
  'wrn-16-2': wideResnet(16, 2),
  'wrn-40-2': wideResnet(40, 2),
  vgg8: vgg([1, 1, 1, 1, 1]),
  vgg11: vgg([1, 1, 2, 2, 2]),
  vgg13: vgg([2, 2, 2, 2, 2]),
  mobilenetv2,
};

export const modelNames: readonly string[] = Object.keys(architectures);

/**
 * The maker of the models of a name: one of {@link modelNames}, or `wrn-d-k` for a wide residual network of depth d
 * (6n + 4) and widening k.
 *
 * @throws {UsageError} for a name that is not known
 */
export function modelFactory(name: string): ModelFactory {
  const architecture = parseWideResnet(name) ?? lookUp('model', architectures, name);
  return (options) => instantiate(name, architecture, options);
}

/**
 * A model with freshly initialised weights: `modelFactory(name)(options)`.
 *
 * @throws {UsageError} for a name or options that are wrong
 * @throws {ShapeError} for images that are too small for the model
 */
export function createModel(name: string, options: ModelOptions): Model {
  return modelFactory(name)(options);
}
