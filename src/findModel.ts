import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { messageOf, UsageError } from './errors.ts';
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
  const path = resolve(model);
  let module: unknown;
  try {
    module = await import(pathToFileURL(path).href);
  } catch (error) {
    throw new UsageError(`Could not load the model module ${path}: ${messageOf(error)}`, { cause: error });
  }
  return modelFromModule(module, path);
}
