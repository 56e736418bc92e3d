import { resolve } from 'node:path';
import { importModule } from './importModule.ts';
import { modelFactory } from './models/index.ts';
import { isModelPath } from './models/names.ts';
import type { ModelFactory } from './models/types.ts';
import { modelFromModule } from './models/userModel.ts';

/**
 * The maker of a model of the registry, or of the user's own module when `model` is a path.
 *
 * @throws {UsageError} for a name that is not known, or a module that cannot be loaded
 */
export async function findModel(model: string): Promise<ModelFactory> {
  if (!isModelPath(model)) return modelFactory(model);
  return modelFromModule(await importModule('model', model), resolve(model));
}
