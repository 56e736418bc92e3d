import { methods } from './distill/index.ts';
import type { AnyMethod } from './distill/objective.ts';
import { methodFromModule } from './distill/userMethod.ts';
import { importModule } from './importModule.ts';
import { isModelPath } from './models/names.ts';

/**
 * The methods of the registry and those of the user's own modules among `names`.
 *
 * @param names of methods, or paths of modules
 * @throws {UsageError} for a module that cannot be loaded, or exports no method
 */
export async function findMethods(names: readonly string[]): Promise<Readonly<Record<string, AnyMethod>>> {
  const own = await Promise.all(
    names
      .filter(isModelPath)
      .map(async (path) => [path, methodFromModule(await importModule('method', path), path)] as const),
  );
  return { ...methods, ...Object.fromEntries(own) };
}
