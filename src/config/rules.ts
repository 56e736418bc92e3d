import type { z } from 'zod';
import { messageOf } from '../errors.ts';
import { isModelPath, parseModelName } from '../models/names.ts';
import { type PeerGroup, peerNames } from './peers.ts';

/** The methods whose teachers are other peers. */
export const TAUGHT_BY_PEERS: ReadonlySet<string> = new Set(['dml']);

type Refuse = (path: PropertyKey[], message: string) => void;

/** A rule about several values, as a refinement; it is asked only when each of them is valid by itself. */
export function rule<T>(
  check: (value: T, refuse: Refuse) => void,
): (value: T, context: z.core.$RefinementCtx<T>) => void {
  return (value, context) => {
    if (context.issues.length > 0) return;
    check(value, (path, message) => context.addIssue({ code: 'custom', path, message }));
  };
}

export function batchFits(data: { batchSize: number; trainSize?: number }, refuse: Refuse): void {
  const { batchSize, trainSize } = data;
  if (trainSize === undefined || batchSize <= trainSize) return;
  refuse(['batchSize'], `expected at most data.trainSize (${trainSize}), got ${batchSize}`);
}

/** A module's path is looked at by the peer that loads it: it is a path on that peer's machine. */
export function modelKnown(model: string, refuse: Refuse): void {
  if (isModelPath(model)) return;
  try {
    parseModelName(model);
  } catch (error) {
    refuse([], messageOf(error));
  }
}

export function namesDiffer(peers: readonly PeerGroup[], refuse: Refuse): void {
  const names = peerNames({ peers }).map(({ name }) => name);
  for (const name of repeated(names)) refuse([], `two peers have the name "${name}"`);
}

export function methodsDiffer(methods: readonly string[], refuse: Refuse): void {
  for (const method of repeated(methods)) refuse([], `"${method}" is there twice`);
}

/** The methods differ from each other, and there are as many peers as they and the quorum need. */
export function methodsSuitPeers(
  experiment: {
    distill: { method: string };
    exchange: { quorum: number | 'all' };
    peers: readonly PeerGroup[];
    compare: readonly string[];
  },
  refuse: Refuse,
): void {
  const { distill, exchange, peers, compare } = experiment;
  const again = compare.indexOf(distill.method);
  if (again >= 0) refuse(['compare', again], `"${distill.method}" is distill.method already`);

  const teachers = peers.reduce((sum, { count }) => sum + count, 0) - 1;
  const taught = [
    { method: distill.method, path: ['distill', 'method'] },
    ...compare.map((method, i) => ({ method, path: ['compare', i] })),
  ].filter(({ method }) => TAUGHT_BY_PEERS.has(method));
  if (teachers === 0) {
    for (const { method, path } of taught) {
      const message = `"${method}" learns from other peers, and there is only one; use "self-ema", or add a peer`;
      refuse(path, message);
    }
  } else if (taught.length > 0 && exchange.quorum !== 'all' && exchange.quorum > teachers) {
    const message = `expected at most ${teachers}, the number of each student's teachers, got ${exchange.quorum}`;
    refuse(['exchange', 'quorum'], message);
  }
}

/** A burn-in as long as the training would leave nothing to compare. Without a size, only the data tells the steps. */
export function burnInEnds(
  experiment: {
    data: { trainSize?: number; batchSize: number };
    training: { epochs: number };
    distill: { method: string; burnInSteps: number };
    compare: readonly string[];
  },
  refuse: Refuse,
): void {
  const { data, training, distill, compare } = experiment;
  const taught = [distill.method, ...compare].some((method) => method !== 'independent');
  if (!taught || data.trainSize === undefined) return;
  const steps = training.epochs * Math.floor(data.trainSize / data.batchSize);
  if (distill.burnInSteps < steps) return;
  const message = `expected less than the ${steps} steps of this training, or nobody would teach, got ${distill.burnInSteps}`;
  refuse(['distill', 'burnInSteps'], message);
}

function repeated(values: readonly string[]): Set<string> {
  return new Set(values.filter((value, i) => values.indexOf(value) < i));
}
