import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DataError } from '../errors.ts';
import { cachePath, projectRoot } from '../paths.ts';
import { type DatasetDefinition, remedyFor } from './definition.ts';

/** Where a dataset's files are. */
export interface Location {
  /** One for each of the definition's `files`, in their order. */
  readonly paths: readonly string[];
  /** Which of the possible sources this is, for people. */
  readonly source: string;
}

/** The folder in which downloads of a dataset are kept: `~/.cache/codistill/datasets/<name>`. */
export function cacheFolder(name: string): string {
  return cachePath('datasets', name);
}

/** The path of `file` in `folder`, or of its unpacked form when only that is there. */
function findFile(folder: string, file: string): string | undefined {
  return [join(folder, file), join(folder, file.replace(/\.gz$/, ''))].find((path) => existsSync(path));
}

/** The paths of all of a dataset's files in `folder`, or undefined when any is missing. */
function findAll(folder: string, definition: DatasetDefinition): string[] | undefined {
  const paths = definition.files.map((file) => findFile(folder, file)).filter((path) => path !== undefined);
  return paths.length === definition.files.length ? paths : undefined;
}

/**
 * Finds a dataset's files in the user's folder: directly in it, or in a subfolder with one of the usual names.
 *
 * @throws {DataError} when files are missing; lists the folders tried
 */
export function locateIn(name: string, definition: DatasetDefinition, dataDir: string): Location {
  const folders = [dataDir, ...definition.folderNames.map((folder) => join(dataDir, folder))];
  for (const folder of folders) {
    const paths = findAll(folder, definition);
    if (paths) return { paths, source: `files in ${folder}` };
  }
  const tried = folders.map((folder) => {
    const missing = definition.files.filter((file) => findFile(folder, file) === undefined);
    return `${folder} (lacks ${missing.join(', ')})`;
  });
  throw new DataError(
    `The data folder ${dataDir} does not hold ${name}. Tried: ${tried.join('; ')}. ${remedyFor(definition)}`,
  );
}

/**
 * Finds a full dataset on this machine: in `dataDir` alone if that is given, else among the downloads, then where the
 * operating system's package puts it.
 *
 * @returns undefined when no `dataDir` is given and it is in neither place
 * @throws {DataError} when `dataDir` is given but lacks files, as {@link locateIn}
 */
export function locate(name: string, definition: DatasetDefinition, dataDir?: string): Location | undefined {
  if (dataDir !== undefined) return locateIn(name, definition, dataDir);
  const cache = cacheFolder(name);
  const cached = findAll(cache, definition);
  if (cached) return { paths: cached, source: `files downloaded to ${cache}` };
  const system = definition.systemFolder;
  const installed = system === undefined ? undefined : findAll(system, definition);
  return installed && { paths: installed, source: `files of the operating system's package in ${system}` };
}

/** The subset that comes with codistill, or undefined when the dataset has none. */
export function locateEmbedded(definition: DatasetDefinition): Location | undefined {
  if (definition.embeddedFolder === undefined) return undefined;
  const folder = join(projectRoot, definition.embeddedFolder);
  const paths = findAll(folder, definition);
  return paths && { paths, source: `embedded subset in ${folder}` };
}
