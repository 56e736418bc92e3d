import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { UsageError } from '../../errors.ts';

/** A TensorFlow that a binding can be linked to. */
export interface TensorflowLibrary {
  /** Shared libraries with the C interface, to be linked in this order. */
  readonly libraries: readonly string[];
  /** The folder of `tensorflow/c/c_api.h` and all that it includes. */
  readonly include: string;
}

const HEADER = join('tensorflow', 'c', 'eager', 'c_api.h');

/** How the libraries are called in a Python package, and in an unpacked C library. */
const LAYOUTS = [
  ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'],
  [join('lib', 'libtensorflow.so.2'), join('lib', 'libtensorflow_framework.so.2')],
] as const;

/**
 * Finds TensorFlow in a folder: the package `tensorflow` of Python, the folder or virtual environment that it is
 * installed in, or an unpacked C library.
 *
 * @throws {UsageError} that lists the places looked at
 */
export function locateTensorflow(folder: string): TensorflowLibrary {
  const places = [
    resolve(folder),
    join(resolve(folder), 'tensorflow'),
    ...pythonFolders(resolve(folder)).map((packages) => join(packages, 'tensorflow')),
  ];
  for (const place of places) {
    for (const layout of LAYOUTS) {
      const libraries = layout.map((name) => join(place, name));
      const include = join(place, 'include');
      if ([...libraries, join(include, HEADER)].every(existsSync)) return { libraries, include };
    }
  }
  throw new UsageError(
    `--from ${folder}: expected libtensorflow_cc.so.2 and include/ (Python's package), or lib/libtensorflow.so.2 and include/ (the C library), in one of ${places.join(', ')}.`,
  );
}

/** `lib/python3.12/site-packages` of a virtual environment. */
function pythonFolders(environment: string): string[] {
  const lib = join(environment, 'lib');
  if (!existsSync(lib)) return [];
  return readdirSync(lib)
    .filter((name) => name.startsWith('python3'))
    .map((name) => join(lib, name, 'site-packages'));
}

/**
 * The folder of the `tensorflow` that `python3` would import.
 *
 * @throws {UsageError} when there is none
 */
export async function folderOfPythonsTensorflow(): Promise<string> {
  const program =
    'import importlib.util as u; s = u.find_spec("tensorflow"); print(s.submodule_search_locations[0] if s else "")';
  const { stdout } = await promisify(execFile)('python3', ['-c', program]).catch(() => ({ stdout: '' }));
  if (stdout.trim() !== '') return stdout.trim();
  throw new UsageError(
    'python3 finds no package "tensorflow". Give its folder with --from, or let --pip install one for codistill alone.',
  );
}
