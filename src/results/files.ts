import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DataError, messageOf, StorageError } from '../errors.ts';

/**
 * Replaces the file at `path` as a whole: whoever reads it, and whenever the power fails, finds the old content or the
 * new one, never a part. The folder must exist.
 *
 * @throws {StorageError} when it cannot be written; the old content stays
 */
export async function writeFileAtomic(path: string, content: Uint8Array | string): Promise<void> {
  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    const file = await open(temporary, 'wx');
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw cannotWrite(path, error);
  }
}

/**
 * Makes a folder, and those above it.
 *
 * @throws {StorageError} when it cannot be made
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (error) {
    throw cannotWrite(path, error);
  }
}

export function cannotWrite(path: string, cause: unknown): StorageError {
  const advice = 'Make room on the disk, or see to it that this program may write there.';
  return new StorageError(`Could not write ${path}: ${messageOf(cause)}. ${advice}`, { cause });
}

/** What {@link writeFileAtomic} calls a file that is not complete. */
const TEMPORARY = /\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.tmp$/;

/** Removes the incomplete files that a killed process left in a folder; no other process may be writing there. */
export async function removeLeftovers(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  // They do no harm where they cannot be removed.
  for (const name of names) if (TEMPORARY.test(name)) await rm(join(folder, name)).catch(() => {});
}

/** A JSON file's text. */
export function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** Makes the names in `folder` outlive a power cut; Windows cannot open folders, and does not need it. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Reads a file of JSON lines. A last line without its newline was being written when its process was killed, and is left
 * out.
 *
 * @throws {DataError} naming the line when any other is not JSON
 */
export async function readNdjson(path: string): Promise<unknown[]> {
  const lines = (await readFile(path, 'utf8')).split('\n').slice(0, -1);
  return lines.map((line, index) => {
    try {
      return JSON.parse(line) as unknown;
    } catch (cause) {
      throw new DataError(
        `${path}, line ${index + 1}: expected JSON, got ${JSON.stringify(line.slice(0, 40))}.`,
        {
          cause,
        },
      );
    }
  });
}
