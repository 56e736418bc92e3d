import { type Architecture, instantiate } from './architecture.ts';
import { cnnS } from './cnnS.ts';
import { lenet5 } from './lenet5.ts';
import { mlp } from './mlp.ts';
import { mobilenetv2 } from './mobilenetv2.ts';
import { type ModelName, parseModelName } from './names.ts';
import { resnet } from './resnet.ts';
import type { Model, ModelFactory, ModelOptions } from './types.ts';
import { vgg } from './vgg.ts';
import { wideResnet } from './wideResnet.ts';

const narrow = [16, 16, 32, 64] as const;
const wide = [32, 64, 128, 256] as const;

const architectures: Readonly<Record<ModelName, Architecture>> = {
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

/**
 * The maker of the models of a name: one of {@link MODEL_NAMES}, or `wrn-d-k` for a wide residual network of depth d
 * (6n + 4) and widening k.
 *
 * @throws {UsageError} for a name that is not known
 */
export function modelFactory(name: string): ModelFactory {
  const model = parseModelName(name);
  const architecture =
    model.kind === 'named' ? architectures[model.name] : wideResnet(model.depth, model.widening);
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
