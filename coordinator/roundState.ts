import type { WireEncoding } from '../src/protocol/messages.ts';

export interface RoundsOptions {
  /** Least number of teachers that a target is made of; `all`: no deadline, everybody is waited for as long as it has a place. */
  readonly quorum: number | 'all';
  /** How long a round waits for a student, in milliseconds. */
  readonly maxWaitMs: number;
  /** The first round that students come to: the end of the burn-in. */
  readonly firstRound: number;
}

/** A student or a teacher, as far as the rounds know it. */
export interface Student {
  /** Whether targets are made of what it says. */
  teaches: boolean;
  /** Whether it gets targets. */
  learns: boolean;
  connected: boolean;
  /** Away, and the rounds wait for it all the same: it is about to be back. */
  expected: boolean;
  /** It has given up its place, or finished. */
  done: boolean;
  finished: boolean;
  lagging: boolean;
  /** Back after rounds that were closed without it: it goes through them first, and meanwhile nobody waits for it. */
  behind: boolean;
  /** How far behind it was when it came back, and the rounds that it has taken again since. */
  readonly replay: { gap: number; rounds: number };
  /** Missed deadlines, less the rounds it was on time for since. */
  strikes: number;
  /** The latest round it sent logits for; -1 before the first. */
  round: number;
  /** The round it was told to go on with, after it fell behind. */
  resumesAt: number;
  /** In a phase without exchange: burn-in, evaluation. */
  busy: boolean;
  /** When it was last known to be busy, or came back: its time for a round counts from then at the earliest. */
  busyAtMs: number;
}

/** Whether the peers see the same augmentation of a sample. */
export type View = 'shared' | 'own';

export interface OpenRound {
  readonly batch: Uint8Array<ArrayBuffer>;
  readonly view: View;
  /** When the first student sent; `null` while only teachers have. */
  openedAtMs: number | null;
  readonly contributions: Map<string, Payload>;
}

/** What a peer says about a batch; the rounds do not look into it. */
export interface Payload {
  readonly logits: Float32Array | null;
  readonly encodings: readonly WireEncoding[];
  /** True classes of the rows, where the ensemble needs them. */
  readonly labels: Uint16Array | null;
}

/** All rounds of a run, and who takes part in them. */
export interface Rounds {
  readonly options: RoundsOptions;
  readonly students: Map<string, Student>;
  readonly open: Map<number, OpenRound>;
  /** The highest round that was closed; -1 before the first. */
  lastClosed: number;
}

export type MissReason = 'noTeachers' | 'quorum' | 'late' | 'refused';

/**
 * Why nobody learns from what a peer has sent: also that nobody was there to learn, that it is in quarantine, that it had
 * sent it already, or that it asks for an answer that was made while it was away.
 */
export type UnusedReason = MissReason | 'noStudents' | 'quarantined' | 'repeated' | 'recalled';

export type RoundEffect =
  /** Make a target for each contributor from the others; in the fixed order of sums, by name. */
  | {
      readonly type: 'commit';
      readonly round: number;
      readonly batch: Uint8Array<ArrayBuffer>;
      readonly view: View;
      readonly contributions: readonly (readonly [peer: string, payload: Payload])[];
      /** Those among the contributors that targets are made of. */
      readonly teachers: ReadonlySet<string>;
      /** Those that get one. */
      readonly learners: ReadonlySet<string>;
      /** Those who are away, and will ask for theirs when they are back. */
      readonly absent: ReadonlySet<string>;
    }
  /**
   * Tell a teacher that it can go on; `nextRound` when it fell behind and is to go on there. `unused`: why nobody learned
   * from what it sent; absent when its round was committed.
   */
  | {
      readonly type: 'advance';
      readonly peer: string;
      readonly round: number;
      readonly unused?: UnusedReason;
      readonly nextRound?: number;
    }
  /** Nothing to answer: the first one counts, and is answered when the round closes. */
  | { readonly type: 'repeated'; readonly peer: string; readonly round: number }
  /**
   * Tell a student to train on the labels alone; `nextRound` when it fell behind and is to go on there. `used`: what
   * became of its contribution is counted already.
   */
  | {
      readonly type: 'noTarget';
      readonly peer: string;
      readonly round: number;
      readonly reason: MissReason;
      readonly detail: string;
      readonly used?: true;
      readonly nextRound?: number;
    };

/** What one peer has sent for one round. */
export interface Contribution {
  readonly peer: string;
  readonly round: number;
  readonly batch: Uint8Array<ArrayBuffer>;
  readonly view: View;
  readonly payload: Payload;
}

export function createRounds(options: RoundsOptions): Rounds {
  return { options, students: new Map(), open: new Map(), lastClosed: -1 };
}
