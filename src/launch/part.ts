import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { PlannedPeer } from '../config/peers.ts';
import { CodistillError, ExitCode } from '../errors.ts';
import type { RunStatus, RunSummary } from '../results/types.ts';
import { type Program, startProgram } from './program.ts';

export interface PartOptions {
  /** The experiment file that the coordinator reads. */
  readonly experimentFile: string;
  /** Trains with this method instead of the experiment's. */
  readonly method: string | null;
  readonly folder: string;
  readonly peers: readonly PlannedPeer[];
  /** Flags that every peer gets, such as `--data-dir`. */
  readonly peerFlags: readonly string[];
  readonly logLevel: string;
  readonly port: number;
  readonly show: (status: RunStatus) => void;
  /** Passed on to the programs once, as SIGINT. */
  readonly signal: AbortSignal;
}

const POLL_MS = 500;
/** Time that interrupted programs have to save their work; then they are ended. */
const GRACE_MS = 2_700;

/**
 * One training: starts a coordinator and its peers as child processes, just as three terminals would, and waits for
 * their end.
 *
 * @returns the summary that the coordinator wrote
 * @throws {CodistillError} when the training could not start
 */
export async function runPart(options: PartOptions): Promise<RunSummary> {
  const { folder, peers, signal } = options;
  const level = ['--log-level', options.logLevel];
  const override = options.method === null ? [] : ['--method', options.method, '--compare', ''];
  const coordinator = await startProgram(
    'coordinator',
    'coordinator/main.js',
    [options.experimentFile, '--port', String(options.port), '--dir', folder, ...override, ...level],
    join(folder, 'coordinator.log'),
  );
  const programs = [coordinator];
  const stop = (): void => {
    for (const program of programs) program.kill('SIGINT');
    setTimeout(() => {
      for (const program of programs) program.kill('SIGKILL');
    }, GRACE_MS).unref();
  };
  signal.addEventListener('abort', stop, { once: true });
  try {
    const listening = await coordinator.logged('listening');
    if (!listening) throw await failure(coordinator);
    const url = String(listening.url);
    for (const { name, model, backend } of peers) {
      const peerFolder = join(folder, 'peers', name);
      const flags = ['--coordinator', url.replace('http', 'ws'), '--name', name, '--model', model];
      const peer = await startProgram(
        name,
        'peer/main.js',
        [...flags, '--backend', backend, '--dir', peerFolder, ...options.peerFlags, ...level],
        join(peerFolder, 'peer.log'),
      );
      programs.push(peer);
    }
    await follow(url, coordinator, programs.slice(1), options.show, signal);
    await Promise.all(programs.map(({ exited }) => exited));
    return JSON.parse(await readFile(join(folder, 'summary.json'), 'utf8')) as RunSummary;
  } catch (error) {
    stop();
    await Promise.all(programs.map(({ exited }) => exited));
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** Shows the run until the coordinator ends. A peer that ends before training starts ends the run: it cannot begin. */
async function follow(
  url: string,
  coordinator: Program,
  peers: readonly Program[],
  show: (status: RunStatus) => void,
  signal: AbortSignal,
): Promise<void> {
  let ended = false;
  void coordinator.exited.then(() => {
    ended = true;
  });
  const fallen: Program[] = [];
  for (const peer of peers) void peer.exited.then(() => fallen.push(peer));
  while (!ended) {
    const status = await fetchStatus(url);
    if (status) show(status);
    if (status?.phase === 'waiting' && fallen[0] && !signal.aborted) throw await failure(fallen[0]);
    await Promise.race([coordinator.exited, delay(POLL_MS)]);
  }
}

async function fetchStatus(url: string): Promise<RunStatus | null> {
  try {
    const response = await fetch(`${url}/status.json`, { signal: AbortSignal.timeout(5_000) });
    return (await response.json()) as RunStatus;
  } catch {
    // It has just ended, or is too busy to answer: the next poll tells.
    return null;
  }
}

async function failure(program: Program): Promise<CodistillError> {
  const code = await program.exited;
  const known = Object.values(ExitCode).find((each) => each === code) ?? ExitCode.internal;
  return new CodistillError(`${program.name}: ${program.errorText() || `ended with code ${code}`}`, known);
}
