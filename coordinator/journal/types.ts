import type { Wants } from '../../src/protocol/messages.ts';
import type { Member } from '../members.ts';
import type { MissReason } from '../roundState.ts';
import type { Fault } from '../suspects/suspects.ts';

/** What a run's counters say; they only grow. And who is in quarantine. */
export interface Counters {
  /** The highest round that was closed; -1 before the first. */
  readonly lastClosed: number;
  /** Rounds in which at least one student got a target. */
  readonly committed: number;
  readonly missed: Readonly<Record<MissReason, number>>;
  /** Who teaches nobody, and why. */
  readonly quarantined: Readonly<Record<string, Fault>>;
}

/** What students were answered about a round, each as a frame. */
export interface AnsweredRound extends Counters {
  readonly round: number;
  readonly answers: readonly (readonly [peer: string, frame: Uint8Array<ArrayBuffer>])[];
}

/** What is kept of a member: all but what it tells anew when it is back. */
export type KeptMember = Omit<Member, 'connected' | 'sinceMs' | 'workedAtMs' | 'progress' | 'traffic'>;

/** All of a run but its open rounds: what a coordinator needs to go on with it. */
export interface RunSnapshot extends Counters {
  /** The run's name. */
  readonly id: string;
  readonly phase: 'waiting' | 'training' | 'finished';
  readonly wants: Wants | null;
  /** The key that each name belongs to which was taken with one. */
  readonly keys: readonly (readonly [name: string, key: string])[];
  readonly members: readonly KeptMember[];
}

/**
 * What outlives the coordinator: who is in the run, how far it is, and what the students were answered in the latest
 * rounds. It is written before anybody is told, so that whatever a peer has heard is in it.
 */
export interface Journal {
  answered(round: AnsweredRound): void;
  snapshot(run: RunSnapshot): void;
  /** The frame that `peer` was answered, or would have been, in a round that is closed; `null` when it is not kept. */
  recall(round: number, peer: string): Uint8Array<ArrayBuffer> | null;
}
