import { randomUUID } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { DataError, messageOf } from '../errors.ts';
import type { DatasetDefinition } from './definition.ts';
import { download } from './download.ts';
import { type TarEntry, tarEntries } from './tar.ts';

/** Writes a file so that its name never stands for half of it, even when several processes write it at once. */
async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.${randomUUID()}.part`;
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(temporary, bytes);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw new DataError(`Cannot write ${path}: ${messageOf(error)}.`, { cause: error });
  }
}

/** The files in a download: itself, or the content of a `.tar.gz`. */
function filesIn(name: string, bytes: Uint8Array): Iterable<TarEntry> {
  return name.endsWith('.tar.gz') ? tarEntries(gunzipSync(bytes)) : [{ name, bytes }];
}

/**
 * Downloads a dataset's files into `folder`, from its official server or from the folder on the web that the
 * environment variable CODISTILL_DATASETS_URL names. Files that cannot be verified are not written.
 *
 * @throws {DataError} as {@link download}; also when a file cannot be written
 */
export async function fetchDataset(definition: DatasetDefinition, folder: string): Promise<void> {
  const base = process.env.CODISTILL_DATASETS_URL || definition.baseUrl;
  for (const expected of definition.downloads) {
    const bytes = await download(`${base.replace(/\/$/, '')}/${expected.name}`, expected);
    for (const file of filesIn(expected.name, bytes)) {
      const name = basename(file.name);
      if (definition.files.includes(name)) await writeWhole(join(folder, name), file.bytes);
    }
  }
}
