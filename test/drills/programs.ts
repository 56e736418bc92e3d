import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { programPath } from '../../src/paths.ts';
import type { History } from './history.ts';
import type { Link, LinkEvents, OpenLink } from './link.ts';
import type { PuppetCommand, PuppetEvent } from './puppet.ts';

export interface ProgramOptions {
  readonly name: string;
  /** Below `dist/`. */
  readonly entry: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** What runs it, such as `nsenter` with its flags; Node.js alone by default. */
  readonly prefix?: readonly string[];
  /** Of Node.js. */
  readonly nodeFlags?: readonly string[];
  readonly logFile: string;
}

/** A child process of a drill. */
export interface Program {
  readonly name: string;
  readonly child: ChildProcess;
  readonly pid: number;
  /** Exit code, or 128 plus the number of the signal. */
  readonly exited: Promise<number>;
  /** Resolves with the first line of its log that matches, those before included. @throws when it ends without */
  logged(pattern: RegExp): Promise<string>;
  kill(signal: NodeJS.Signals): void;
  /** It is to end with an error. */
  expectFailure(): void;
}

const SIGNAL_NUMBERS: Readonly<Record<string, number>> = { SIGINT: 2, SIGKILL: 9, SIGTERM: 15 };

/** Starts a program with its log on stderr, and a channel by which it learns when the drill is gone. */
export function startProgram(options: ProgramOptions, history: History): Program {
  const { name, prefix = [], nodeFlags = [], args = [] } = options;
  const [command, ...rest] = [...prefix, process.execPath, ...nodeFlags, programPath(options.entry), ...args];
  const child = spawn(command!, rest, {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    serialization: 'advanced',
    env: { ...process.env, ...options.env },
  });
  history.add({ kind: 'started', program: name });
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  let ended = false;
  createInterface({ input: child.stderr! }).on('line', (line) => {
    appendFileSync(options.logFile, `${line}\n`);
    lines.push(line);
    for (const look of waiting) look();
  });
  let asked = false;
  const exited = new Promise<number>((resolve) => {
    child.on('close', (code, signal) => {
      const value = code ?? 128 + (SIGNAL_NUMBERS[signal ?? ''] ?? 0);
      history.add({ kind: 'exited', program: name, code: value, asked });
      ended = true;
      for (const look of waiting) look();
      resolve(value);
    });
    child.on('error', () => resolve(127));
  });
  return {
    name,
    child,
    pid: child.pid!,
    exited,
    logged: (pattern) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const found = lines.find((line) => pattern.test(line));
          if (found === undefined && !ended) return;
          waiting.delete(look);
          if (found !== undefined) resolve(found);
          else reject(new Error(`${name} ended without ${pattern}: ${lines.slice(-3).join(' | ')}`));
        };
        waiting.add(look);
        look();
      }),
    expectFailure() {
      asked = true;
    },
    kill(signal) {
      if (signal !== 'SIGSTOP' && signal !== 'SIGCONT') asked = true;
      child.kill(signal);
    },
  };
}

/** Memory of a process in MiB, as the system counts it. */
export function rssOf(pid: number): number {
  const [, kibibytes] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!;
  return Number(kibibytes) / 1024;
}

/** A process of its own for the connections of scripted peers. */
export interface Puppet extends Program {
  readonly open: OpenLink;
  block(ms: number): void;
}

/** @returns when it is ready */
export async function startPuppet(options: Omit<ProgramOptions, 'entry'>, history: History): Promise<Puppet> {
  const program = startProgram({ ...options, entry: 'test/drills/puppet.js' }, history);
  const { child } = program;
  const order = (command: PuppetCommand): void => {
    // One that was killed hears nothing.
    if (child.connected) child.send(command);
  };
  const links = new Map<number, { readonly events: LinkEvents; settling: (() => void)[] }>();
  const close = (id: number, code: number, reason: string): void => {
    const link = links.get(id);
    if (!link) return;
    links.delete(id);
    for (const resolve of link.settling) resolve();
    link.events.closed(code, reason);
  };
  let nextId = 1;
  const ready = new Promise<void>((resolve, reject) => {
    child.on('message', (message) => {
      const event = message as PuppetEvent;
      if (event.did === 'start') resolve();
      else if (event.did === 'open') links.get(event.id)?.events.opened();
      else if (event.did === 'frame') links.get(event.id)?.events.frame(event.bytes);
      else if (event.did === 'close') close(event.id, event.code, event.reason);
      else links.get(event.id)?.settling.shift()?.();
    });
    child.on('disconnect', () => {
      for (const id of [...links.keys()]) close(id, 1006, 'its process ended');
      reject(new Error(`${options.name} could not be started`));
    });
  });
  ready.catch(() => {});
  await ready;
  return {
    ...program,
    block: (ms) => order({ do: 'block', ms }),
    open(url, linkOptions, events): Link {
      const id = nextId++;
      const link = { events, settling: [] as (() => void)[] };
      links.set(id, link);
      order({ do: 'open', id, url, options: linkOptions });
      const settled = (command: PuppetCommand): Promise<void> =>
        new Promise((resolve) => {
          link.settling.push(resolve);
          order(command);
        });
      return {
        send: (data) => order({ do: 'send', id, data }),
        raw: (data, times = 1) => settled({ do: 'raw', id, data, times }),
        settled: () => settled({ do: 'settle', id }),
        read: (on) => order({ do: 'read', id, on }),
        close: (code, reason) => order({ do: 'close', id, code, reason }),
        terminate: () => order({ do: 'terminate', id }),
      };
    },
  };
}
