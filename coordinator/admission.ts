import { CloseCode } from '../src/protocol/closeCodes.ts';
import type { Connection } from './connections.ts';
import { createTokenBucket, type Rate, takeToken } from './tokenBucket.ts';

/** Connections whose `hello` has not come yet, each of which has two seconds for it, beside those of the run's own peers. */
const MAX_STRANGERS = 64;
/** Lines of strangers in the log and in the events: enough to see what happens, and too few to fill a disk. */
const STRANGER_LINES: Rate = { burst: 20, perSecond: 1 };

/** Why one more connection is not taken now; `null` if it is. */
export function whyFull(connections: Iterable<Connection>, maxPeers: number, places: number): string | null {
  const all = [...connections];
  if (all.length >= maxPeers) return `expected at most ${maxPeers} connections: see --max-peers`;
  const strangers = all.filter(({ peer }) => peer === null).length;
  // After a break of the network, all peers may be back at once.
  return strangers < MAX_STRANGERS + places ? null : `${strangers} connections have not said hello yet`;
}

/** How connections ended, by code: those that never got in, and those of peers. */
export interface ConnectionCounts {
  readonly refused: Map<string, number>;
  readonly closed: Map<string, number>;
}

export function createConnectionCounts(): ConnectionCounts {
  return { refused: new Map(), closed: new Map() };
}

const KNOWN_CODES = new Set<number>([...Object.values(CloseCode), 403, 429, 503, 1001, 1005, 1006]);

/** Counts one. A peer may close with any code that it likes: those without a meaning here are counted as one. */
export function countEnd(counts: Map<string, number>, code: number): void {
  const label = KNOWN_CODES.has(code) ? String(code) : 'other';
  counts.set(label, (counts.get(label) ?? 0) + 1);
}

/** Whether one more line about a stranger may be written. */
export function createStrangerLimit(now: () => number): () => boolean {
  const bucket = createTokenBucket(STRANGER_LINES, now());
  return () => takeToken(bucket, STRANGER_LINES, now());
}
