import type { TokenBucket } from './tokenBucket.ts';

/** The weights of one student on their way to another one, which has not started yet. */
export interface Handover {
  /** Its number, on the wire. */
  readonly request: number;
  readonly newcomer: string;
  readonly newcomerConnection: number;
  readonly lender: string;
  readonly lenderConnection: number;
  /** The lender's, at its last evaluation, 0-1. */
  readonly accuracy: number;
  /** When the newcomer began to wait, also for lenders before this one; in milliseconds. */
  readonly sinceMs: number;
  /** What the first piece said of the whole. */
  whole: { readonly step: number; readonly size: number } | null;
  /** Bytes that were passed on, the last piece among them. */
  bytes: number;
  /** The piece that was asked for, the word that the last one has arrived, or neither: it ends. */
  awaits: 'piece' | 'receipt' | 'nothing';
  /** When it was last asked for one or the other, in milliseconds. */
  askedAtMs: number;
  /** Whether a piece was left out because the newcomer reads too slowly. */
  dropped: boolean;
  /** Why lenders before this one were of no use, by name. */
  readonly failed: ReadonlyMap<string, string>;
}

export interface Handovers {
  next: number;
  /** By the newcomer's name. */
  readonly open: Map<string, Handover>;
  /** Who still owes the answer to a request that nobody waits for any more. */
  readonly late: Map<number, string>;
  /** How often each name may still ask. */
  readonly allowances: Map<string, TokenBucket>;
}

export function createHandovers(): Handovers {
  return { next: 0, open: new Map(), late: new Map(), allowances: new Map() };
}
