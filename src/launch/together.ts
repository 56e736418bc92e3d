import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type PlannedPeer, placesOf } from '../config/peers.ts';
import { ExitCode } from '../errors.ts';
import type { RunStatus, RunSummary } from '../results/types.ts';
import type { Cards } from './cards.ts';
import {
  endProgram,
  failureOf,
  logLevelOf,
  machineFlags,
  type Program,
  startProgram,
  summaryOf,
} from './program.ts';
import type { Training } from './trainingCommand.ts';

const POLL_MS = 500;
/** Exit codes of a peer that has not trained. */
const BEFORE_TRAINING: ReadonlySet<number> = new Set([ExitCode.usage, ExitCode.data]);

/**
 * One training of several peers: starts a coordinator and the peers as child processes, just as three terminals would,
 * and waits for their end.
 *
 * @param port of the coordinator; 0 takes a free one
 * @param cards which GPU each peer computes on
 * @throws {CodistillError} when the training could not start, or the coordinator failed
 */
export async function trainTogether(training: Training, port: string, cards: Cards): Promise<RunSummary> {
  const { folder, signal } = training;
  const coordinator = await startProgram({
    name: 'coordinator',
    entry: 'coordinator/main.js',
    args: [
      training.experimentFile,
      ...['--port', port, '--dir', folder, '--log-level', logLevelOf(training.options)],
    ],
    logFile: join(folder, 'coordinator.log'),
  });
  const programs = [coordinator];
  const stop = (): void => {
    for (const program of programs) endProgram(program);
  };
  signal.addEventListener('abort', stop, { once: true });
  try {
    const listening = await coordinator.logged('listening');
    if (!listening) throw await failureOf(coordinator);
    const url = String(listening.url);
    for (const peer of placesOf(training.experiment)) {
      if (!signal.aborted) programs.push(await startPeer(training, peer, url, cards.of.get(peer.name)));
    }
    const deserted = await follow(url, programs, training);
    const code = await coordinator.exited;
    const hasResults = code === ExitCode.ok || code === ExitCode.incomplete || code === ExitCode.unsaved;
    if (!hasResults && !deserted && !signal.aborted) throw await failureOf(coordinator);
    await Promise.all(programs.map(({ exited }) => exited));
    for (const program of programs) await training.noteUnsaved(program);
    return await summaryOf(coordinator, folder);
  } catch (error) {
    stop();
    await Promise.all(programs.map(({ exited }) => exited));
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

function startPeer(
  training: Training,
  { name, model, role, weights, backend }: PlannedPeer,
  url: string,
  card: string | undefined,
): Promise<Program> {
  const folder = join(training.folder, 'peers', name);
  const place = [
    ...['--coordinator', url.replace(/^http/, 'ws'), '--name', name, '--model', model],
    ...(role === 'teacher' ? ['--role', role] : []),
    ...(weights === undefined ? [] : ['--weights', weights]),
  ];
  return startProgram({
    name,
    entry: 'peer/main.js',
    args: [...place, '--dir', folder, ...machineFlags(training, { backend, gpu: card })],
    logFile: join(folder, 'peer.log'),
    // Native backends would each take all cores: share them out.
    env: { TF_NUM_INTRAOP_THREADS: String(threadsOfEach(placesOf(training.experiment).length)) },
  });
}

function threadsOfEach(peers: number): number {
  return Math.max(1, Math.floor(availableParallelism() / peers));
}

/**
 * Shows the run until the coordinator ends. A peer that ends before training starts ends the run: it cannot begin. So does
 * the last one later, as the coordinator would wait for them to come back, and one that finds, once it knows the others,
 * that what it was told cannot be done.
 *
 * @returns whether all peers had left before the end
 */
async function follow(
  url: string,
  [coordinator, ...peers]: readonly Program[],
  { show, signal }: Training,
): Promise<boolean> {
  let ended = false;
  void coordinator!.exited.then(() => {
    ended = true;
  });
  const fallen: { readonly peer: Program; readonly code: number }[] = [];
  for (const peer of peers) void peer.exited.then((code) => fallen.push({ peer, code }));
  let deserted = false;
  while (!ended) {
    const allFell = fallen.length === peers.length;
    const status = await fetchStatus(url);
    if (status) show(status);
    const ending = fallen.find(({ code }) => status?.phase === 'waiting' || BEFORE_TRAINING.has(code));
    if (ending && !signal.aborted) throw await failureOf(ending.peer);
    if (status?.phase === 'training' && allFell && !deserted) {
      deserted = true;
      endProgram(coordinator!);
    }
    await Promise.race([coordinator!.exited, delay(POLL_MS)]);
  }
  return deserted;
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
