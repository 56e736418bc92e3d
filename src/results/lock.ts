import { randomUUID } from 'node:crypto';
import { linkSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { UsageError } from '../errors.ts';
import { cannotWrite, makeFolder, removeLeftovers } from './files.ts';
import { type Holder, holderSchema, stateOf, thisProcess, UNREADABLE } from './holder.ts';

/** A lock's holder shows that it is alive in this interval, in milliseconds, for those on other hosts. */
const SIGN_MS = 5_000;
/** One of another host or container that gives no sign for this time is gone: four of them, as computing can block it. */
const SILENCE_MS = 20_000;

/** Time that another process is given to remove a lock, in milliseconds. */
const RETRY_MS = 50;

/** `program`: a coordinator, a peer, or the program of `codistill self`; `launcher`: the command that starts programs. */
export type LockKind = 'program' | 'launcher';

const FILES: Readonly<Record<LockKind, string>> = { program: 'lock', launcher: 'launcher.lock' };

/**
 * Keeps every other process out of a folder until this one ends, by itself, by a signal or by SIGKILL; makes the folder
 * when there is none, and removes what a killed process left half-written in it.
 *
 * A program and the launcher that started it may be in one folder.
 *
 * @param notify told about a wait, in words
 * @throws {UsageError} when another process holds it, saying which
 */
export async function lockFolder(
  folder: string,
  kind: LockKind,
  notify: (what: string) => void,
): Promise<void> {
  await makeFolder(folder);
  const path = join(folder, FILES[kind]);
  const lock = await acquire(path, notify);
  const other = join(folder, FILES[kind === 'program' ? 'launcher' : 'program']);
  try {
    const holder = await holderOf(other, notify);
    if (holder && holder.pid !== process.ppid) throw inUse(other, holder);
  } catch (error) {
    lock.release();
    throw error;
  }
  await removeLeftovers(folder);
}

export interface Lock {
  release(): void;
}

/**
 * Takes the lock that the file at `path` is. A file whose holder is gone is removed first, by one process alone: by
 * whoever takes a second lock, which is named after the first one's nonce.
 *
 * @throws {UsageError} when another process holds it, {@link StorageError} when the file cannot be written
 */
export async function acquire(
  path: string,
  notify: (what: string) => void,
  silenceMs = SILENCE_MS,
): Promise<Lock> {
  const me = thisProcess(randomUUID());
  while (!create(path, me)) {
    const holder = read(path);
    if (!holder) continue;
    if (await isAlive(path, holder, me, notify, silenceMs)) throw inUse(path, holder);
    await breakLock(path, holder, notify, silenceMs);
  }
  return hold(path, me);
}

/** Removes the lock of a holder that is gone, and no other one that came into its place. */
async function breakLock(
  path: string,
  { nonce }: Holder,
  notify: (what: string) => void,
  silenceMs: number,
): Promise<void> {
  try {
    const breaking = await acquire(`${path}.${nonce}`, notify, silenceMs);
    if (read(path)?.nonce === nonce) rmSync(path, { force: true });
    breaking.release();
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    // Another process is about to remove it.
    await delay(RETRY_MS);
  }
}

/** Who holds a lock; `null` when nobody does. */
async function holderOf(path: string, notify: (what: string) => void): Promise<Holder | null> {
  const holder = read(path);
  return holder && (await isAlive(path, holder, thisProcess(''), notify, SILENCE_MS)) ? holder : null;
}

async function isAlive(
  path: string,
  holder: Holder,
  here: Holder,
  notify: (what: string) => void,
  silenceMs: number,
): Promise<boolean> {
  const state = stateOf(holder, here);
  if (state !== 'unknown') return state === 'alive';
  notify(`${path} was made by ${describe(holder)}: waiting ${silenceMs / 1000} s for a sign of life`);
  const last = signAt(path);
  await delay(silenceMs);
  return read(path)?.nonce === holder.nonce && signAt(path) !== last;
}

/** @returns whether the file is there now, and was not before */
function create(path: string, me: Holder): boolean {
  const complete = `${path}.${me.nonce}.new`;
  try {
    // Unlike a file that is opened and then written, a link is there with its content or not at all, also after a power
    // cut: an empty one would name nobody who could be found to be gone.
    writeFileSync(complete, JSON.stringify(me), { flag: 'wx', flush: true });
    linkSync(complete, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw cannotWrite(path, error);
  } finally {
    rmSync(complete, { force: true });
  }
}

/** @returns `null` when there is no such file */
function read(path: string): Holder | null {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  try {
    return holderSchema.parse(JSON.parse(text));
  } catch {
    return UNREADABLE;
  }
}

/** When the holder last showed that it is alive, by its own clock; 0 when the lock is gone. */
function signAt(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function hold(path: string, me: Holder): Lock {
  const sign = setInterval(() => {
    const now = new Date();
    try {
      utimesSync(path, now, now);
    } catch {
      // Somebody removed it by hand, or the folder: there is nothing left to hold.
      clearInterval(sign);
    }
  }, SIGN_MS);
  sign.unref();
  const release = (): void => {
    clearInterval(sign);
    process.off('exit', release);
    if (read(path)?.nonce === me.nonce) rmSync(path, { force: true });
  };
  process.on('exit', release);
  return { release };
}

function inUse(path: string, holder: Holder): UsageError {
  return new UsageError(
    `The folder is in use by ${describe(holder)}: choose another one, or end that process. (Its lock is ${path}.)`,
  );
}

function describe({ pid, host, since }: Holder): string {
  return `process ${pid} on ${host}, since ${since}`;
}
