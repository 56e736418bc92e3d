import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { programPath } from '../paths.ts';

/** A coordinator or peer that this launcher started. */
export interface Program {
  readonly name: string;
  /** Resolves with the exit code, or 128 plus the number of the signal that ended it. */
  readonly exited: Promise<number>;
  /** The error that it ended with, as it told it on stderr; empty when it told none. */
  errorText(): string;
  /** Resolves with the first log record whose message is `phrase`; `null` when the program ends before that. */
  logged(phrase: string): Promise<Record<string, unknown> | null>;
  kill(signal: NodeJS.Signals): void;
}

const SIGNAL_NUMBERS: Readonly<Record<string, number>> = { SIGINT: 2, SIGKILL: 9, SIGTERM: 15 };

/**
 * Starts a program in the way that a shell would: flags, and its log on stderr, which goes to a file.
 *
 * @param entry such as `peer/main.js`
 * @param logFile gets every line of stderr
 */
export async function startProgram(
  name: string,
  entry: string,
  args: readonly string[],
  logFile: string,
): Promise<Program> {
  await mkdir(dirname(logFile), { recursive: true });
  const log = createWriteStream(logFile, { flags: 'a' });
  const child: ChildProcess = spawn(process.execPath, [programPath(entry), ...args], {
    // The channel tells the program when this launcher is gone; a group of its own keeps Ctrl-C for the launcher,
    // which passes it on once.
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    detached: true,
    env: withoutSettings(process.env),
  });
  const waiting: { phrase: string; resolve: (record: Record<string, unknown> | null) => void }[] = [];
  const seen: Record<string, unknown>[] = [];
  const plain: string[] = [];
  createInterface({ input: child.stderr! }).on('line', (line) => {
    log.write(`${line}\n`);
    const record = parseRecord(line);
    if (!record) {
      plain.push(line);
      return;
    }
    seen.push(record);
    for (const { phrase, resolve } of waiting) if (record.msg === phrase) resolve(record);
  });
  const exited = new Promise<number>((resolve) => {
    child.on('close', (code, signal) => {
      log.end();
      for (const { resolve: end } of waiting) end(null);
      resolve(code ?? 128 + (SIGNAL_NUMBERS[signal ?? ''] ?? 0));
    });
    child.on('error', () => resolve(127));
  });
  return {
    name,
    exited,
    errorText: () => plain.join('\n').replace(/^Error: /, ''),
    async logged(phrase) {
      const known = seen.find(({ msg }) => msg === phrase);
      if (known) return known;
      if (child.exitCode !== null || child.signalCode !== null) return null;
      return new Promise((resolve) => waiting.push({ phrase, resolve }));
    },
    kill: (signal) => child.kill(signal),
  };
}

/** The settings in this process's environment are in the experiment already; a child would apply them once more. */
function withoutSettings(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([key]) => !key.startsWith('CODISTILL_')));
}

function parseRecord(line: string): Record<string, unknown> | null {
  if (!line.startsWith('{')) return null;
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return null;
  }
}
