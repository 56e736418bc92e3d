import {
  closeSync,
  constants,
  fstatSync,
  fsync,
  ftruncate,
  ftruncateSync,
  openSync,
  readSync,
  write,
} from 'node:fs';
import { promisify } from 'node:util';
import type { StorageError } from '../errors.ts';
import { cannotWrite } from './files.ts';

export interface NdjsonWriter {
  /** Adds one line; returns at once, the line is written in the background. */
  append(record: unknown): void;
  /**
   * Resolves when every appended line is on the disk.
   *
   * @throws {StorageError} when one could not be written
   */
  close(): Promise<void>;
}

/** Told about a disk that takes no more lines, once, and about its end. */
export interface NdjsonListener {
  failed(error: StorageError): void;
  /** @param lost lines that could not be kept until then */
  recovered(lost: number): void;
}

const SILENT: NdjsonListener = { failed: () => {}, recovered: () => {} };

/** Lines that wait for a disk to take them have this many characters at most; further ones are lost. */
const MAX_WAITING = 8 * 1024 ** 2;
/** Time from a failed attempt to the next one, in milliseconds. */
const RETRY_MS = 1_000;

/**
 * Opens a file of JSON lines for appending, and creates it if need be. Half a line, left behind by a process that was
 * killed, is removed first, so that it cannot spoil the line after it.
 *
 * Lines that cannot be written, as on a full disk, wait and are tried again with later ones and at the end. The file holds
 * whole lines at all times, but for one that is being written.
 *
 * @throws {StorageError} when it cannot be opened
 */
export function openNdjson(path: string, listener: NdjsonListener = SILENT): NdjsonWriter {
  const { fd, size } = openWhole(path);
  /** Where the next line goes; what is behind it was not written completely. */
  let end = size;
  let waiting: string[] = [];
  let waitingLength = 0;
  let lost = 0;
  let failure: { readonly error: StorageError; readonly atMs: number } | null = null;
  let writing: Promise<void> | null = null;
  let closed: Promise<void> | null = null;

  const writeWaiting = async (): Promise<void> => {
    const lines = waiting;
    const length = waitingLength;
    waiting = [];
    waitingLength = 0;
    const bytes = Buffer.from(lines.join(''));
    try {
      // Positions, and not the end of the file: half a line of an earlier attempt is written over.
      await writeAt(fd, bytes, end);
      end += bytes.length;
      if (failure) listener.recovered(lost);
      failure = null;
    } catch (cause) {
      await truncateTo(fd, end).catch(() => {});
      waiting = [...lines, ...waiting];
      waitingLength += length;
      const error = cannotWrite(path, cause);
      if (!failure) listener.failed(error);
      failure = { error, atMs: performance.now() };
    }
  };

  const due = (): boolean => waiting.length > 0 && (!failure || performance.now() - failure.atMs >= RETRY_MS);

  const writeAll = async (): Promise<void> => {
    while (due()) await writeWaiting();
    writing = null;
  };

  const finish = async (): Promise<void> => {
    await writing;
    try {
      if (waiting.length > 0) await writeWaiting();
      if (failure) throw failure.error;
      await sync(fd, path);
      if (lost > 0) throw cannotWrite(path, `${lost} lines are lost`);
    } finally {
      closeSync(fd);
    }
  };

  return {
    append(record) {
      if (closed) throw new Error(`Cannot append to ${path}: it was closed.`);
      const line = `${JSON.stringify(record)}\n`;
      if (waitingLength + line.length > MAX_WAITING) {
        lost += 1;
        return;
      }
      waiting.push(line);
      waitingLength += line.length;
      if (!writing && due()) writing = writeAll();
    },
    close() {
      closed ??= finish();
      return closed;
    },
  };
}

/** An open file of whole lines, and its size in bytes. */
function openWhole(path: string): { fd: number; size: number } {
  try {
    const fd = openSync(path, constants.O_RDWR | constants.O_CREAT);
    const { size } = fstatSync(fd);
    const end = endOfLastLine(fd, size);
    if (end < size) ftruncateSync(fd, end);
    return { fd, size: end };
  } catch (error) {
    throw cannotWrite(path, error);
  }
}

const truncateTo = promisify(ftruncate);
const writeSome = promisify(write);
const flushToDisk = promisify(fsync);

async function writeAt(fd: number, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await writeSome(fd, bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

async function sync(fd: number, path: string): Promise<void> {
  try {
    await flushToDisk(fd);
  } catch (error) {
    throw cannotWrite(path, error);
  }
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
