import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { BackendError, messageOf } from '../../errors.ts';
import { json, writeFileAtomic } from '../../results/files.ts';
import { inspectPackage } from './inspect.ts';
import type { TensorflowLibrary } from './locate.ts';
import { addonOf, PACKAGE, packageFolder } from './package.ts';

const require = createRequire(import.meta.url);

/** What was linked, for people and for `removeLink`; kept beside the addon. */
export interface LinkRecord {
  readonly tensorflow: string;
  readonly gpu: boolean;
  readonly libraries: readonly string[];
  readonly linkedAt: string;
}

function expectPackage(): string {
  const folder = packageFolder();
  if (folder !== null) return folder;
  throw new BackendError(`${PACKAGE} is not installed: run npm ci --ignore-scripts first.`);
}

const recordOf = (addon: string): string => join(dirname(addon), 'linked.json');
/** Where the addon that came with the package waits, while another one is linked. */
const stockOf = (addon: string): string => `${addon}.stock`;

/**
 * Compiles the package's own binding against a TensorFlow, and tries the result in a process of its own. The addon that
 * was there before stays when that fails.
 *
 * @param folder of the package
 * @throws {BackendError} when there is no compiler, or the result does not load or compute
 */
export async function link(library: TensorflowLibrary, folder = expectPackage()): Promise<LinkRecord> {
  const addon = addonOf(folder);
  const previous = `${addon}.previous`;
  await mkdir(dirname(addon), { recursive: true });
  const built = `${addon}.building`;
  await compile(folder, library, built);
  if (existsSync(addon)) await rename(addon, previous);
  await rename(built, addon);
  const found = await inspectPackage(folder);
  if ('usable' in found) {
    await rm(addon);
    if (existsSync(previous)) await rename(previous, addon);
    throw new BackendError(`The binding was built, but ${found.reason}.`);
  }
  if (existsSync(recordOf(addon))) await rm(previous, { force: true });
  else if (existsSync(previous)) await rename(previous, stockOf(addon));
  const record = {
    tensorflow: found.version,
    gpu: found.noGpu === null,
    libraries: library.libraries,
    linkedAt: new Date().toISOString(),
  };
  await writeFileAtomic(recordOf(addon), json(record));
  return record;
}

/** Two C++ files against TensorFlow's C interface, and Node-API; no other headers of Node.js are needed. */
async function compile(folder: string, { libraries, include }: TensorflowLibrary, to: string): Promise<void> {
  const compiler = process.env.CXX || 'c++';
  const nodeApi: string = require('node-api-headers').include_dir;
  const sources = ['tfjs_backend.cc', 'tfjs_binding.cc'].map((name) => join(folder, 'binding', name));
  // The run path is that of the library itself: through it, the library finds its own neighbours, such as CUDA's.
  const flags = ['-O2', '-std=gnu++17', '-fPIC', '-shared', '-DNAPI_VERSION=8', '-w'];
  const paths = [`-I${nodeApi}`, `-I${include}`, `-I${folder}`, `-Wl,-rpath,${dirname(libraries[0]!)}`];
  try {
    await promisify(execFile)(compiler, [...flags, ...paths, ...sources, ...libraries, '-o', to]);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      const remedy = 'install one, such as Debian\'s package "g++", or name yours in the variable CXX';
      throw new BackendError(`There is no C++ compiler "${compiler}": ${remedy}.`, { cause: error });
    }
    throw new BackendError(`The binding could not be compiled: ${messageOf(error)}`, { cause: error });
  }
}

/**
 * Takes back what {@link link} did: the addon that came with the package, if any, is in its place again.
 *
 * @param folder of the package
 * @returns what was linked; `null` when nothing was
 */
export async function removeLink(folder = expectPackage()): Promise<LinkRecord | null> {
  const addon = addonOf(folder);
  const path = recordOf(addon);
  if (!existsSync(path)) return null;
  const record = JSON.parse(await readFile(path, 'utf8')) as LinkRecord;
  await rm(addon, { force: true });
  if (existsSync(stockOf(addon))) await rename(stockOf(addon), addon);
  await rm(path);
  return record;
}
