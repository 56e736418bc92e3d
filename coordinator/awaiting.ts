/** For whom a round is kept open, and until when. */
import type { OpenRound, Rounds, Student } from './roundState.ts';

/** The open rounds that a student has sent to, oldest first. */
export function roundsOfStudents(rounds: Rounds): number[] {
  const those = [...rounds.open].filter(([, { openedAtMs }]) => openedAtMs !== null);
  return those.map(([round]) => round).sort((a, b) => a - b);
}

export function awaited(rounds: Rounds, round: number): [string, Student][] {
  return [...rounds.students].filter(
    ([, s]) =>
      (s.connected || s.expected) &&
      !s.done &&
      !s.lagging &&
      (!s.behind || rounds.options.quorum === 'all') &&
      s.round < round &&
      s.resumesAt <= round,
  );
}

export function deadlineMs(rounds: Rounds, open: OpenRound, student: Student): number {
  if (open.openedAtMs === null || rounds.options.quorum === 'all') return Number.POSITIVE_INFINITY;
  return Math.max(open.openedAtMs, student.busyAtMs) + rounds.options.maxWaitMs;
}

/** Whether a student may still come to a round of teachers: one that is away, or late, while none is further on. */
export function studentMayCome(rounds: Rounds, round: number): boolean {
  if (rounds.lastClosed > round || roundsOfStudents(rounds).some((each) => each > round)) return false;
  return [...rounds.students.values()].some(
    (s) => s.learns && !s.finished && s.round < round && s.resumesAt <= round,
  );
}

/** When the next awaited student's time is up; `null` when nobody is waited for. */
export function nextDeadlineMs(rounds: Rounds): number | null {
  let next: number | null = null;
  for (const [round, open] of rounds.open) {
    for (const [, student] of awaited(rounds, round)) {
      const deadline = deadlineMs(rounds, open, student);
      if (next === null || deadline < next) next = deadline;
    }
  }
  return next === Number.POSITIVE_INFINITY ? null : next;
}

/** For whom the oldest open round of a student waits, and since when: what a person is told. */
export function waitingFor(
  rounds: Rounds,
): { readonly round: number; readonly peers: readonly string[]; readonly sinceMs: number } | null {
  const oldest = roundsOfStudents(rounds)[0];
  if (oldest === undefined) return null;
  const peers = awaited(rounds, oldest).map(([peer]) => peer);
  return { round: oldest, peers, sinceMs: rounds.open.get(oldest)!.openedAtMs! };
}
