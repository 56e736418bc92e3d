import type { RoundEffect } from '../roundState.ts';
import { quarantineOf, type Suspects } from './suspects.ts';

/** What follows from a round when those in quarantine teach nobody: some learners may be left with too few teachers. */
export function withoutSuspects(
  suspects: Suspects,
  commit: RoundEffect & { readonly type: 'commit' },
  quorum: number | 'all',
): RoundEffect[] {
  const { round, teachers, learners, absent } = commit;
  const needed = quorum === 'all' ? 1 : quorum;
  const distrusted = [...teachers].filter((peer) => quarantineOf(suspects, peer) !== null);
  if (distrusted.length === 0) return [commit];
  const trusted = new Set([...teachers].filter((peer) => !distrusted.includes(peer)));
  const teachersOf = (peer: string): number => trusted.size - (trusted.has(peer) ? 1 : 0);
  const taught = (peers: ReadonlySet<string>): Set<string> =>
    new Set([...peers].filter((peer) => teachersOf(peer) >= needed));
  const rest = { ...commit, teachers: trusted, learners: taught(learners), absent: taught(absent) };
  const left = [...learners].filter((peer) => !rest.learners.has(peer));
  return [
    ...(rest.learners.size + rest.absent.size > 0 ? [rest] : []),
    ...left.map((peer): RoundEffect => {
      const count = teachersOf(peer);
      const detail = `${count} teachers, the quorum is ${needed}; in quarantine: ${distrusted.join(', ')}`;
      const reason = count === 0 ? 'noTeachers' : 'quorum';
      return { type: 'noTarget', peer, round, reason, detail, used: true };
    }),
  ];
}
