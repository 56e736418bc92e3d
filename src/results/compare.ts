import { count } from './format.ts';
import type { Evaluation, MethodSummary, PeerSummary, RunSummary } from './types.ts';

/** A peer that was evaluated. */
export type TestedPeer = PeerSummary & { readonly test: Evaluation };

/** The same peer under two methods, evaluated under both. */
export interface PeerPair {
  readonly ours: TestedPeer;
  readonly theirs: TestedPeer;
}

/** The run itself and what it is compared with, in the order to show them. */
export function methodsOf(summary: Omit<RunSummary, 'verdict'>): readonly MethodSummary[] {
  return [summary, ...Object.values(summary.compare)];
}

/** What a run can be compared with, training alone first: the methods that share a tested peer with it. */
export function referencesOf(summary: Omit<RunSummary, 'verdict'>): MethodSummary[] {
  const { independent, ...others } = summary.compare;
  return [...(independent === undefined ? [] : [independent]), ...Object.values(others)].filter(
    (reference) => pairPeers(summary, reference).length > 0,
  );
}

/** Mean over the peers that both methods share of each measure; at least one peer. */
export function meanOfPairs(pairs: readonly PeerPair[]): {
  readonly ours: Evaluation;
  readonly theirs: Evaluation;
} {
  return {
    ours: meanEvaluation(pairs.map(({ ours }) => ours)),
    theirs: meanEvaluation(pairs.map(({ theirs }) => theirs)),
  };
}

/** How peers of a method were trained, as in "the same peers trained alone". */
export function trained(method: string): string {
  return method === 'independent' ? 'trained alone' : `trained with ${method}`;
}

function isTested(peer: PeerSummary): peer is TestedPeer {
  return peer.test !== null;
}

/** The peers that have a final evaluation. */
export function testedPeers({ peers }: MethodSummary): TestedPeer[] {
  return peers.filter(isTested);
}

/**
 * The students that have a final evaluation under both methods, matched by name. A teacher is the same under both, and
 * would make every difference smaller.
 */
export function pairPeers(ours: MethodSummary, theirs: MethodSummary): PeerPair[] {
  const others = testedPeers(theirs);
  const students = testedPeers(ours).filter(({ role }) => role !== 'teacher');
  return students.flatMap((peer) => {
    const same = others.find(({ name }) => name === peer.name);
    return same === undefined ? [] : [{ ours: peer, theirs: same }];
  });
}

/** Mean over peers of the measures that every peer has; at least one peer. */
export function meanEvaluation(peers: readonly TestedPeer[]): Evaluation {
  const mean = (measure: 'accuracy' | 'nll' | 'ece'): number =>
    peers.reduce((sum, { test }) => sum + test[measure], 0) / peers.length;
  return { accuracy: mean('accuracy'), nll: mean('nll'), ece: mean('ece') };
}

/** Standard error of an accuracy measured on `samples` samples: that of a share. */
export function standardError(accuracy: number, samples: number): number {
  return Math.sqrt((accuracy * (1 - accuracy)) / samples);
}

/** What a peer's row must not hide, in a word; null for a peer that finished in good order. */
export function trouble(peer: PeerSummary): 'lost' | 'interrupted' | 'collapsed' | 'quarantined' | null {
  if (peer.outcome !== 'finished') return peer.outcome;
  if (peer.collapsed !== undefined) return 'collapsed';
  return peer.quarantined === null ? null : 'quarantined';
}

/** What is known of it. */
export function troubleDetail(peer: PeerSummary): string {
  const { outcome, steps, collapsed, quarantined } = peer;
  const facts = [
    ...(outcome === 'finished' ? [] : [`after ${count(steps)} steps`]),
    ...(collapsed === undefined || outcome !== 'finished' ? [] : [collapsed]),
    ...(quarantined === null ? [] : [`nobody learned from it; ${quarantined}`]),
  ];
  return facts.join('; ');
}

/** Whose weights a peer began with, in words: its result is not of its own training alone. `null` for its own. */
export function origin({ startedFrom }: PeerSummary): string | null {
  if (!startedFrom || startedFrom.peer === null) return null;
  return `began with the weights of ${startedFrom.peer} at step ${count(startedFrom.step)}`;
}
