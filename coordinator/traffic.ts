import { CloseCode } from '../src/protocol/closeCodes.ts';
import type { AnswerTally, ContributionTally, FrameTally, TrafficSummary } from '../src/results/types.ts';
import type { UnusedReason } from './roundState.ts';
import type { Run } from './runState.ts';

/**
 * What became of everything that came from one peer. Each thing is counted when it comes and once more when it is known
 * what became of it, so that the sums tell whether anything was dropped without a word:
 *
 *     frames received        = accepted + refused, by reason
 *     contributions received = committed + unused, by reason + open
 *     contributions received = targets + noTargets + advances + undelivered + repeated + open
 */
export interface Traffic {
  readonly frames: FrameCounts;
  readonly contributions: {
    received: number;
    committed: number;
    readonly unused: Record<UnusedReason, number>;
  };
  readonly answers: {
    targets: number;
    noTargets: number;
    advances: number;
    undelivered: number;
    replaced: number;
  };
  /** Of weights, for this receiver. */
  readonly pieces: { sent: number; dropped: number };
}

export interface FrameCounts {
  received: number;
  accepted: number;
  readonly refused: Record<FrameRefusal, number>;
}

/** Why a frame was not accepted: the close code that it led to, or that the connection was being closed already. */
export type FrameRefusal = keyof typeof CloseCode | 'afterClose';

const REASONS = [...(Object.keys(CloseCode) as (keyof typeof CloseCode)[]), 'afterClose'] as const;

export function createFrameCounts(): FrameCounts {
  return { received: 0, accepted: 0, refused: zeros(REASONS) };
}

export function createTraffic(): Traffic {
  return {
    frames: createFrameCounts(),
    contributions: {
      ...{ received: 0, committed: 0 },
      unused: zeros([
        ...(['noTeachers', 'quorum', 'late', 'refused'] as const),
        ...(['noStudents', 'quarantined', 'repeated', 'recalled'] as const),
      ]),
    },
    answers: { targets: 0, noTargets: 0, advances: 0, undelivered: 0, replaced: 0 },
    pieces: { sent: 0, dropped: 0 },
  };
}

function zeros<K extends string>(names: readonly K[]): Record<K, number> {
  return Object.fromEntries(names.map((name) => [name, 0])) as Record<K, number>;
}

/** The name that a refused frame is counted under. */
export function refusalOf(code: CloseCode): FrameRefusal {
  return REASONS.find((name) => name !== 'afterClose' && CloseCode[name] === code)!;
}

/**
 * Where a peer's frames are counted. Before the start, and from a connection without a name, all are counted together:
 * names come and go then, and a stranger could make up any number of them.
 */
export function frameCountsOf(run: Run, peer: string | null): FrameCounts {
  const member = run.phase === 'waiting' ? undefined : run.members.get(peer ?? '');
  return member?.traffic.frames ?? run.lobby;
}

/** Contributions of a peer in rounds that are open. */
export function openOf(run: Run, peer: string): number {
  return [...run.rounds.open.values()].filter(({ contributions }) => contributions.has(peer)).length;
}

/** The sums over all peers, as the summary has them. */
export function summariseTraffic(run: Run): TrafficSummary {
  const members = [...run.members.values()];
  const traffic = members.map((member) => member.traffic);
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  const frames = [run.lobby, ...traffic.map((each) => each.frames)];
  const contributions = traffic.map((each) => each.contributions);
  const answers = traffic.map((each) => each.answers);
  return {
    frames: {
      received: sum(frames.map(({ received }) => received)),
      accepted: sum(frames.map(({ accepted }) => accepted)),
      refused: sumByReason(frames.map(({ refused }) => refused)),
    } satisfies FrameTally,
    contributions: {
      received: sum(contributions.map(({ received }) => received)),
      committed: sum(contributions.map(({ committed }) => committed)),
      unused: sumByReason(contributions.map(({ unused }) => unused)),
      open: sum(members.map(({ name }) => openOf(run, name))),
    } satisfies ContributionTally,
    answers: {
      targets: sum(answers.map(({ targets }) => targets)),
      noTargets: sum(answers.map(({ noTargets }) => noTargets)),
      advances: sum(answers.map(({ advances }) => advances)),
      undelivered: sum(answers.map(({ undelivered }) => undelivered)),
      replaced: sum(answers.map(({ replaced }) => replaced)),
    } satisfies AnswerTally,
    pieces: {
      sent: sum(traffic.map(({ pieces }) => pieces.sent)),
      dropped: sum(traffic.map(({ pieces }) => pieces.dropped)),
    },
  };
}

/** Reasons that never came up are left out. */
function sumByReason(counts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const total: Record<string, number> = {};
  for (const count of counts) {
    for (const [reason, times] of Object.entries(count)) {
      if (times > 0) total[reason] = (total[reason] ?? 0) + times;
    }
  }
  return total;
}
