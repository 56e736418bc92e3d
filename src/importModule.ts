import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { messageOf, UsageError } from './errors.ts';

/**
 * Loads a user's module.
 *
 * @param what it is for, for messages
 * @throws {UsageError} when that fails
 */
export async function importModule(what: string, file: string): Promise<unknown> {
  const path = resolve(file);
  try {
    return await import(pathToFileURL(path).href);
  } catch (error) {
    throw new UsageError(`Could not load the ${what} module ${path}: ${messageOf(error)}`, { cause: error });
  }
}
