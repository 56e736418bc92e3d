import { roundsOfStudents } from './awaiting.ts';
import type { RoundEffect, Rounds } from './roundState.ts';

/** Closes a round: a target for each student that has enough teachers, and for everybody an answer. */
export function close(rounds: Rounds, round: number): RoundEffect[] {
  const { batch, view, contributions } = rounds.open.get(round)!;
  rounds.open.delete(round);
  rounds.lastClosed = Math.max(rounds.lastClosed, round);
  const byName = [...contributions].sort(([a], [b]) => (a < b ? -1 : 1));
  const those = (what: 'teaches' | 'learns'): string[] =>
    byName.map(([peer]) => peer).filter((peer) => rounds.students.get(peer)![what]);
  const [teachers, learners] = [those('teaches'), those('learns')];
  const others = byName.map(([peer]) => peer).filter((peer) => !learners.includes(peer));
  if (learners.length === 0) return others.map((peer) => skipAhead(rounds, peer, round));
  const { quorum } = rounds.options;
  const needed = quorum === 'all' ? 1 : quorum;
  // A student is no teacher of its own.
  const othersOf = (peer: string): number => teachers.length - (teachers.includes(peer) ? 1 : 0);
  const enough = (peer: string): boolean => othersOf(peer) >= needed;
  const taught = learners.filter(enough);
  const absent = absentStudents(rounds, round).filter((peer) => !learners.includes(peer) && enough(peer));
  const without = learners.filter((peer) => !enough(peer));
  const commit: RoundEffect = {
    ...{ type: 'commit', round, batch, view, contributions: byName },
    ...{ teachers: new Set(teachers), learners: new Set(taught), absent: new Set(absent) },
  };
  const used = taught.length + absent.length > 0;
  return [
    ...(used ? [commit] : []),
    ...without.map((peer): RoundEffect => {
      const others = othersOf(peer);
      const reason = others === 0 ? 'noTeachers' : 'quorum';
      const detail =
        others === 0
          ? 'nobody who teaches sent anything for this batch'
          : `${others} teachers, the quorum is ${needed}`;
      return { type: 'noTarget', peer, round, reason, detail, ...(used && { used: true as const }) };
    }),
    ...others.map(
      (peer): RoundEffect => ({
        ...{ type: 'advance', peer, round },
        ...(!used && { unused: 'quorum' as const }),
      }),
    ),
  ];
}

/** Students that did not come to a round and may ask for its target later. */
function absentStudents(rounds: Rounds, round: number): string[] {
  return [...rounds.students]
    .filter(([, s]) => s.learns && !s.done && (!s.connected || s.behind) && s.round < round)
    .map(([peer]) => peer)
    .sort();
}

/** The answer to a teacher of a round without students: to go on where the students are. */
function skipAhead(rounds: Rounds, peer: string, round: number): RoundEffect {
  const nextRound = roundsOfStudents(rounds).find((each) => each > round);
  const advance = { type: 'advance', peer, round, unused: 'noStudents' } as const;
  if (nextRound === undefined) return advance;
  rounds.students.get(peer)!.resumesAt = nextRound;
  return { ...advance, nextRound };
}
