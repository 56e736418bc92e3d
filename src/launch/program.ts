import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { CodistillError, ExitCode } from '../errors.ts';
import { programPath } from '../paths.ts';
import { makeFolder } from '../results/files.ts';
import { SUMMARY_NOT_SAVED } from '../results/recorder.ts';
import { readSummary } from '../results/runFolder.ts';
import type { RunSummary } from '../results/types.ts';
import type { Training } from './trainingCommand.ts';

export interface ProgramOptions {
  readonly name: string;
  /** Such as `peer/main.js`. */
  readonly entry: string;
  readonly args: readonly string[];
  /** Gets every line of the program's stderr. */
  readonly logFile: string;
  /** Variables that it gets besides those of this process, which count more. */
  readonly env?: Readonly<Record<string, string>>;
  /** Called with what the program tells this process over its channel. */
  readonly onMessage?: (message: unknown) => void;
}

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

/** Time that interrupted programs have to save their work; then they are ended. */
const GRACE_MS = 2_700;

/** Starts a program in the way that a shell would: flags, and its log on stderr, which goes to a file. */
export async function startProgram(options: ProgramOptions): Promise<Program> {
  const { name, entry, args, logFile } = options;
  await makeFolder(dirname(logFile));
  const log = createWriteStream(logFile, { flags: 'a' });
  log.on('error', ({ message }) => {
    process.stderr.write(`Could not write ${logFile}: ${message}. The log of ${name} ends there.\n`);
  });
  const child: ChildProcess = spawn(process.execPath, [programPath(entry), ...args], {
    // The channel tells the program when this launcher is gone; a group of its own keeps Ctrl-C for the launcher,
    // which passes it on once.
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    detached: true,
    env: { ...options.env, ...withoutSettings(process.env) },
  });
  if (options.onMessage) child.on('message', options.onMessage);
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
    errorText: () => errorIn(plain),
    async logged(phrase) {
      const known = seen.find(({ msg }) => msg === phrase);
      if (known) return known;
      if (child.exitCode !== null || child.signalCode !== null) return null;
      return new Promise((resolve) => waiting.push({ phrase, resolve }));
    },
    kill: (signal) => child.kill(signal),
  };
}

/** Asks a program to save its work and leave, and ends it when it does not. */
export function endProgram(program: Program): void {
  program.kill('SIGINT');
  const timer = setTimeout(() => program.kill('SIGKILL'), GRACE_MS);
  void program.exited.then(() => clearTimeout(timer));
}

/** The summary that a program has written, or told in its log when it could not. */
export async function summaryOf(program: Program, folder: string): Promise<RunSummary> {
  const told = await program.logged(SUMMARY_NOT_SAVED);
  return told ? (told.summary as RunSummary) : readSummary(folder);
}

/** The error of a program that could not do its work, with its exit code. */
export async function failureOf(program: Program): Promise<CodistillError> {
  const code = await program.exited;
  const known = Object.values(ExitCode).find((each) => each === code) ?? ExitCode.internal;
  return new CodistillError(`${program.name}: ${program.errorText() || `ended with code ${code}`}`, known);
}

/**
 * How much a program that is started here logs: into a file, and the launcher reads some of it, so never less than the
 * standard.
 */
export function logLevelOf({ logLevel }: { readonly logLevel: string }): string {
  return logLevel === 'trace' || logLevel === 'debug' ? logLevel : 'info';
}

/**
 * The flags that tell a training program about this machine.
 *
 * @param peer its backend, where `auto` leaves the choice to the command, and its GPU
 */
export function machineFlags(
  { options }: Training,
  { backend, gpu }: { backend: string; gpu: string | undefined },
): string[] {
  return [
    ...['--backend', backend === 'auto' ? options.backend : backend, '--log-level', logLevelOf(options)],
    ...(gpu === undefined ? [] : ['--gpu', gpu]),
    ...(options.dataDir === undefined ? [] : ['--data-dir', options.dataDir]),
    ...(options.download ? ['--download'] : []),
  ];
}

/** Other than settings of the run: those are in the experiment and the flags already. */
const INHERITED = new Set(['CODISTILL_DATASETS_URL']);

function withoutSettings(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = ([key]: [string, unknown]): boolean => INHERITED.has(key) || !key.startsWith('CODISTILL_');
  return Object.fromEntries(Object.entries(environment).filter(kept));
}

/** The error among the lines that are no log records; native libraries write there as well. */
function errorIn(lines: readonly string[]): string {
  const start = lines.findIndex((line) => /^(internal error|Error|error): /.test(line));
  return lines
    .slice(Math.max(0, start))
    .join('\n')
    .replace(/^Error: /, '');
}

function parseRecord(line: string): Record<string, unknown> | null {
  if (!line.startsWith('{')) return null;
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return null;
  }
}
