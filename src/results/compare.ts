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

/** How peers of a method were trained, as in "the same peers trained alone". */
export function trained(method: string): string {
  return method === 'independent' ? 'trained alone' : `trained with ${method}`;
}

function isTested(peer: PeerSummary | undefined): peer is TestedPeer {
  return peer !== undefined && peer.test !== null;
}

/** The peers that have a final evaluation under both methods, matched by name. */
export function pairPeers(ours: MethodSummary, theirs: MethodSummary): PeerPair[] {
  return ours.peers.flatMap((peer) => {
    const same = theirs.peers.find(({ name }) => name === peer.name);
    return isTested(peer) && isTested(same) ? [{ ours: peer, theirs: same }] : [];
  });
}

/** Mean over peers of each measure; at least one peer. */
export function meanEvaluation(peers: readonly TestedPeer[]): Evaluation {
  const mean = (measure: keyof Evaluation): number =>
    peers.reduce((sum, { test }) => sum + test[measure], 0) / peers.length;
  return { accuracy: mean('accuracy'), nll: mean('nll'), ece: mean('ece') };
}

/** Standard error of an accuracy measured on `samples` samples: that of a share. */
export function standardError(accuracy: number, samples: number): number {
  return Math.sqrt((accuracy * (1 - accuracy)) / samples);
}

/** What a peer's row must not hide, in a word; null for a peer that finished in good order. */
export function trouble(peer: PeerSummary): 'lost' | 'interrupted' | 'collapsed' | null {
  if (peer.outcome !== 'finished') return peer.outcome;
  return peer.collapsed === undefined ? null : 'collapsed';
}
