import { writeFileSync } from 'node:fs';
import type { EventRecord, TrafficSummary } from '../../src/results/types.ts';

/** One thing that happened in a drill. Times are milliseconds since its start, of a clock that never jumps. */
export type HistoryRecord = { readonly at: number } & (
  | Settings
  | Sent
  | Received
  | { readonly kind: 'opened'; readonly peer: string; readonly life: string; readonly link: number }
  | {
      readonly kind: 'closed';
      readonly peer: string;
      readonly life: string;
      readonly link: number;
      readonly code: number;
      readonly reason: string;
    }
  /** What the drill did to somebody. While a peer is `stopped`, nothing is promised to it. */
  | { readonly kind: 'fault'; readonly what: string; readonly peer?: string }
  | { readonly kind: 'started'; readonly program: string }
  /** `asked`: the drill ended it. */
  | {
      readonly kind: 'exited';
      readonly program: string;
      readonly code: number;
      readonly asked: boolean;
    }
  /** A number that a promise bounds. */
  | {
      readonly kind: 'bound';
      readonly promise: string;
      readonly what: string;
      readonly value: number;
      readonly most: number;
      readonly unit: string;
    }
  | ({ readonly kind: 'event' } & EventRecord)
  | {
      readonly kind: 'summary';
      readonly committed: number;
      readonly missed: Readonly<Record<string, number>>;
      readonly traffic: TrafficSummary;
    }
);

/** What the run is about, as far as its promises depend on it. */
export interface Settings {
  readonly kind: 'settings';
  /** Of the run; a coordinator that is started again in it goes on with the run. */
  readonly folder: string;
  readonly rows: number;
  readonly classes: number;
  readonly codec: string;
  readonly temperature: number;
  readonly quorum: number | 'all';
  readonly maxWaitMs: number;
  readonly leaseMs: number;
  /** Whether all that the coordinator gets is in this history, so that its targets can be made again. */
  readonly complete: boolean;
}

/** A frame that a scripted peer has sent. */
export interface Sent {
  readonly kind: 'sent';
  readonly peer: string;
  /** The incarnation. */
  readonly life: string;
  /** Number of the connection, over the whole drill. */
  readonly link: number;
  readonly type: string;
  readonly round?: number;
  /** Tensor of a contribution as it was sent, base64. */
  readonly data?: string;
  readonly batch?: string;
  /** Whether an honest peer would send it, so that it may be part of a target and has to be answered. */
  readonly good: boolean;
}

/** A message that a scripted peer got. */
export interface Received {
  readonly kind: 'received';
  readonly peer: string;
  readonly life: string;
  readonly link: number;
  readonly type: string;
  readonly round?: number;
  readonly reason?: string;
  readonly nextRound?: number;
  readonly teachers?: number;
  readonly batch?: string;
  /** Tensor of a target, base64: bit for bit what came. */
  readonly data?: string;
  /** Of `welcome`. */
  readonly run?: string;
  readonly name?: string;
}

type Untimed<T> = T extends unknown ? Omit<T, 'at'> : never;

/** Everything that happens in one drill, in the order in which the harness saw it. */
export interface History {
  readonly records: readonly HistoryRecord[];
  add(record: Untimed<HistoryRecord>): void;
  /** Writes all of it as JSON lines. */
  save(path: string): void;
}

export function createHistory(): History {
  const startedAt = performance.now();
  const records: HistoryRecord[] = [];
  return {
    records,
    add: (record) => void records.push({ at: performance.now() - startedAt, ...record } as HistoryRecord),
    save: (path) => writeFileSync(path, records.map((record) => `${JSON.stringify(record)}\n`).join('')),
  };
}
