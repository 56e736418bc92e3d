import { randomUUID } from 'node:crypto';
import { createWriteStream, fstatSync, ftruncateSync, openSync, readSync } from 'node:fs';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { finished } from 'node:stream/promises';
import { DataError } from '../errors.ts';

/**
 * Replaces the file at `path` as a whole: whoever reads it, and whenever the power fails, finds the old content or the
 * new one, never a part. The folder must exist.
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
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

/** A JSON file's text. */
export function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** Makes a rename in `folder` last; Windows cannot open folders, and does not need it. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export interface NdjsonWriter {
  /** Adds one line; returns at once, the line is written in the background. */
  append(record: unknown): void;
  /** Resolves when every appended line is on the disk; rejects when one could not be written. */
  close(): Promise<void>;
}

/**
 * Opens a file of JSON lines for appending, and creates it if need be. Half a line, left behind by a process that was
 * killed, is removed first, so that it cannot spoil the line after it.
 */
export function openNdjson(path: string): NdjsonWriter {
  const fd = openSync(path, 'a+');
  const { size } = fstatSync(fd);
  const end = endOfLastLine(fd, size);
  if (end < size) ftruncateSync(fd, end);
  const stream = createWriteStream(path, { fd, flush: true });
  const done = finished(stream);
  // A failure is reported by close(); until then it must not count as unhandled.
  done.catch(() => {});
  return {
    append: (record) => {
      if (stream.writableEnded) throw new Error(`Cannot append to ${path}: it was closed.`);
      stream.write(`${JSON.stringify(record)}\n`);
    },
    close: () => {
      stream.end();
      return done;
    },
  };
}

/** Offset after the last newline of an open file of `size` bytes, found from its end in steps of 64 KiB. */
function endOfLastLine(fd: number, size: number): number {
  const chunk = Buffer.alloc(65536);
  let end = size;
  while (end > 0) {
    const start = Math.max(0, end - chunk.length);
    const length = readSync(fd, chunk, 0, end - start, start);
    const newline = chunk.subarray(0, length).lastIndexOf(0x0a);
    if (newline !== -1) return start + newline + 1;
    end = start;
  }
  return 0;
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
