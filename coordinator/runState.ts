import type { RunSettings } from '../src/config/schema.ts';
import type { CloseCode } from '../src/protocol/closeCodes.ts';
import type { CoordinatorMessage, Wants } from '../src/protocol/messages.ts';
import type { Untimed } from '../src/results/recorder.ts';
import type { EventRecord, MetricsRecord } from '../src/results/types.ts';
import { createHandovers, type Handovers } from './handoverState.ts';
import { memoryJournal } from './journal/memoryJournal.ts';
import type { Journal } from './journal/types.ts';
import type { Members, Place } from './members.ts';
import type { Predictions } from './predictions.ts';
import { createRounds, type MissReason, type Rounds } from './roundState.ts';
import type { Suspects } from './suspects/suspects.ts';
import type { RecentRounds } from './targets.ts';
import { createFrameCounts, type FrameCounts } from './traffic.ts';

/** Leases that a peer may take to load, or for its first step, which compiles kernels on some devices. */
export const SLOW_START_LEASES = 10;

/** What a run is about; fixed when the coordinator starts. */
export interface RunOptions {
  readonly id: string;
  readonly settings: RunSettings;
  readonly places: readonly Place[];
}

/** The state of one run: who is in it, where its rounds are, what came out. No sockets, no clock. */
export interface Run {
  readonly options: RunOptions;
  readonly journal: Journal;
  phase: 'waiting' | 'training' | 'finished';
  /** When the peers of an interrupted run have had their time to hand in results; `null`: it goes on. */
  drainingUntilMs: number | null;
  readonly members: Members;
  /** The connection of each peer that has one. */
  readonly connections: Map<string, number>;
  /** The key, as `keyText`, that each name belongs to which was ever taken with one; to the end of the run. */
  readonly keys: Map<string, string>;
  readonly rounds: Rounds;
  /** What the students need of their teachers; `null` while none has said. */
  wants: Wants | null;
  readonly recent: RecentRounds;
  /** What is held against the peers that teach. */
  readonly suspects: Suspects;
  /** Weights on their way to students that begin with those of another one. */
  readonly handovers: Handovers;
  committed: number;
  readonly missed: Record<MissReason, number>;
  readonly predictions: Map<string, Predictions>;
  /** Frames from before the start, and of connections without a name. */
  readonly lobby: FrameCounts;
}

/** What follows from an event; performed by the server. */
export type RunEffect =
  | { readonly type: 'attach'; readonly connection: number; readonly peer: string }
  | {
      readonly type: 'send';
      readonly connection: number;
      readonly message: CoordinatorMessage;
      /** The message as it is sent, where it was encoded already. */
      readonly frame?: Uint8Array<ArrayBuffer>;
    }
  | { readonly type: 'close'; readonly connection: number; readonly code: CloseCode; readonly reason: string }
  | { readonly type: 'event'; readonly record: Untimed<EventRecord> }
  | { readonly type: 'metrics'; readonly record: Untimed<MetricsRecord> }
  | { readonly type: 'finished' };

export function createRun(options: RunOptions, journal: Journal = memoryJournal()): Run {
  const { exchange, distill } = options.settings;
  const { quorum, maxWait } = exchange;
  return {
    options,
    journal,
    phase: 'waiting',
    drainingUntilMs: null,
    members: new Map(),
    connections: new Map(),
    keys: new Map(),
    rounds: createRounds({ quorum, maxWaitMs: maxWait, firstRound: distill.burnInSteps }),
    wants: null,
    recent: [],
    suspects: new Map(),
    handovers: createHandovers(),
    committed: 0,
    missed: { noTeachers: 0, quorum: 0, late: 0, refused: 0 },
    predictions: new Map(),
    lobby: createFrameCounts(),
  };
}
