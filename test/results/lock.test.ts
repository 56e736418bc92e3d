import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, it, onTestFinished } from 'vitest';
import { UsageError } from '../../src/errors.ts';
import { programPath } from '../../src/paths.ts';
import { type Holder, stateOf, thisProcess } from '../../src/results/holder.ts';
import { acquire, type LockKind, lockFolder } from '../../src/results/lock.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';

/** Locks a folder at every line on stdin, tells the outcome on stdout, and starts others like itself. */
const LOCKER = `
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
const [lockFile, folder, kind, stay] = process.argv.slice(1);
const { lockFolder } = await import(lockFile);
if (stay) setInterval(() => {}, 1e6);
console.log('ready');
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'lock') {
    await lockFolder(folder, kind, () => {}).then(
      () => console.log('locked'),
      ({ name, message }) => console.log(name + ': ' + message),
    );
  }
  if (line === 'end') process.exit();
  if (line === 'start a program') {
    const args = process.execArgv.concat([lockFile, folder, 'program', 'stay']);
    spawn(process.execPath, args, { stdio: ['pipe', 'inherit', 'inherit'] }).stdin.write('lock\\n');
  }
}
`;

/** A process that can lock a folder. */
async function startLocker(folder: string, kind: LockKind = 'program') {
  const args = ['--input-type=module', '-e', LOCKER, programPath('src/results/lock.js'), folder, kind];
  const child: ChildProcess = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  const told = async (): Promise<string> => (await lines.next()).value as string;
  const end = async (signal?: NodeJS.Signals): Promise<void> => {
    if (signal) child.kill(signal);
    else child.stdin!.write('end\n');
    await exited;
  };
  onTestFinished(() => void child.kill('SIGKILL'));
  expect(await told()).toBe('ready');
  return {
    pid: child.pid!,
    ask: () => void child.stdin!.write('lock\n'),
    /** @returns the number of the process that it started, which holds the folder */
    startProgram: async () => {
      child.stdin!.write('start a program\n');
      expect([await told(), await told()]).toEqual(['ready', 'locked']);
      const { pid } = JSON.parse(readFileSync(join(folder, 'lock'), 'utf8')) as Holder;
      onTestFinished(() => void process.kill(pid, 'SIGKILL'));
      return pid;
    },
    told,
    end,
    lock: () => {
      child.stdin!.write('lock\n');
      return told();
    },
  };
}

const inUseBy = (pid: number): RegExp =>
  new RegExp(`^UsageError: The folder is in use by process ${pid} on ${hostname()}, since 2`);

describe('a locked folder', () => {
  it('is refused to a second process, which is told who holds it, and free when the first one ends', async () => {
    const folder = join(await temporaryFolder(), 'made', 'for', 'it');
    const [first, second] = await Promise.all([startLocker(folder), startLocker(folder)]);
    expect(await first.lock()).toBe('locked');
    expect(await second.lock()).toMatch(inUseBy(first.pid));
    await first.end();
    expect(readdirSync(folder)).toEqual([]);
    expect(await second.lock()).toBe('locked');
  });

  it('is free again after SIGKILL, and the lock that is left is replaced', async () => {
    const folder = await temporaryFolder();
    const [first, second] = await Promise.all([startLocker(folder), startLocker(folder)]);
    expect(await first.lock()).toBe('locked');
    await first.end('SIGKILL');
    expect(readdirSync(folder)).toEqual(['lock']);
    expect(await second.lock()).toBe('locked');
    expect(readdirSync(folder)).toEqual(['lock']);
    expect(JSON.parse(readFileSync(join(folder, 'lock'), 'utf8')).pid).toBe(second.pid);
  });

  it.each([
    ['a free folder', false],
    ['the folder of a process that was killed', true],
  ])('goes to exactly one of several that start at once: %s', async (_, stale) => {
    const folder = await temporaryFolder();
    const lockers = await Promise.all(Array.from({ length: 3 }, () => startLocker(folder)));
    if (stale) {
      const killed = await startLocker(folder);
      expect(await killed.lock()).toBe('locked');
      await killed.end('SIGKILL');
    }
    for (const locker of lockers) locker.ask();
    const outcomes = await Promise.all(lockers.map(({ told }) => told()));
    expect(
      outcomes.filter((outcome) => outcome === 'locked'),
      outcomes.join('\n'),
    ).toHaveLength(1);
    const winner = lockers[outcomes.indexOf('locked')]!;
    for (const outcome of outcomes) if (outcome !== 'locked') expect(outcome).toMatch(inUseBy(winner.pid));
    expect(readdirSync(folder)).toEqual(['lock']);
  });

  it('is shared by a launcher and the programs that it starts, and by nobody else', async () => {
    const folder = await temporaryFolder();
    const launcher = await startLocker(folder, 'launcher');
    const others = await Promise.all([startLocker(folder), startLocker(folder, 'launcher')]);
    expect(await launcher.lock()).toBe('locked');
    for (const other of others) expect(await other.lock()).toMatch(inUseBy(launcher.pid));
    await launcher.startProgram();
  });

  it('of a program is refused to a launcher, also when the launcher of that program is gone', async () => {
    const folder = await temporaryFolder();
    const launcher = await startLocker(folder, 'launcher');
    expect(await launcher.lock()).toBe('locked');
    const pid = await launcher.startProgram();
    await launcher.end('SIGKILL');
    const next = await startLocker(folder, 'launcher');
    expect(await next.lock()).toMatch(inUseBy(pid));
    expect(readdirSync(folder)).toEqual(['lock']);
  });

  it('loses what a killed process left half-written in it', async () => {
    const folder = await temporaryFolder();
    const half = `summary.json.${randomUUID()}.tmp`;
    writeFileSync(join(folder, half), '{');
    await lockFolder(folder, 'program', () => {});
    expect(readdirSync(folder)).toEqual(['lock']);
  });
});

describe('a lock of a process that cannot be seen from here', () => {
  const elsewhere = (changes: Partial<Holder> = {}): string =>
    JSON.stringify({ ...thisProcess(randomUUID()), host: 'elsewhere', ...changes });

  it.each([
    ['another host', elsewhere()],
    ['another container', elsewhere({ host: hostname(), namespace: 'pid:[1]' })],
    ['a damaged file', '{"pid":'],
  ])('is taken over when it gives no sign of life: %s', async (_, content) => {
    const path = join(await temporaryFolder(), 'lock');
    writeFileSync(path, content);
    const told: string[] = [];
    const lock = await acquire(path, (what) => told.push(what), 20);
    expect(JSON.parse(readFileSync(path, 'utf8')).pid).toBe(process.pid);
    expect(told[0]).toMatch(/lock was made by process \d+ on .*: waiting 0.02 s for a sign of life/);
    lock.release();
    expect(existsSync(path)).toBe(false);
  });

  it('goes to one of two that have waited for it', async () => {
    const path = join(await temporaryFolder(), 'lock');
    writeFileSync(path, elsewhere());
    const outcomes = await Promise.allSettled([1, 2].map(() => acquire(path, () => {}, 20)));
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  });

  it('is respected when it gives one', async () => {
    const path = join(await temporaryFolder(), 'lock');
    writeFileSync(path, elsewhere());
    // The wait is the moment at which the other one shows that it is there.
    const sign = (): void => utimesSync(path, new Date(), new Date(Date.now() + 1));
    const waiting = acquire(path, () => setTimeout(sign, 1), 200);
    await expect(waiting).rejects.toThrow(UsageError);
    await expect(waiting).rejects.toThrow(`in use by process ${process.pid} on elsewhere`);
    expect(existsSync(path)).toBe(true);
  });
});

describe('the holder of a lock', () => {
  const here = thisProcess(randomUUID());

  it('is known by more than its number, which is given again', () => {
    expect(here).toMatchObject({ started: expect.stringMatching(/^\d+$/), boot: expect.any(String) });
    expect(stateOf({ ...here, started: '1' }, here)).toBe('gone');
    expect(stateOf({ ...here, boot: 'the one before' }, here)).toBe('gone');
  });

  it('is alive as long as its process is', async () => {
    expect(stateOf(here, here)).toBe('alive');
    const child = spawn(process.execPath, ['-e', '']);
    await once(child, 'exit');
    expect(stateOf({ ...here, pid: child.pid! }, here)).toBe('gone');
  });

  it('is alive as long as its number is, on systems that tell no more', async () => {
    const there = { ...here, started: null, boot: null, namespace: null };
    expect(stateOf(there, there)).toBe('alive');
    const child = spawn(process.execPath, ['-e', '']);
    await once(child, 'exit');
    expect(stateOf({ ...there, pid: child.pid! }, there)).toBe('gone');
  });
});
