import type { TrafficSummary } from '../../src/results/types.ts';
import type { Violation } from './select.ts';

/** P9: what became of everything that came is counted, and nothing twice. */
export function sums({ frames, contributions, answers }: TrafficSummary): Violation[] {
  const total = (counts: Readonly<Record<string, number>>): number =>
    Object.values(counts).reduce((sum, count) => sum + count, 0);
  const { unused, open } = contributions;
  const { targets, noTargets, advances, undelivered } = answers;
  const equations: readonly [what: string, received: number, explained: number][] = [
    ['frames', frames.received, frames.accepted + total(frames.refused)],
    ['contributions', contributions.received, contributions.committed + total(unused) + open],
    [
      'answers to contributions',
      contributions.received,
      targets + noTargets + advances + undelivered + (unused.repeated ?? 0) + open,
    ],
  ];
  return equations
    .filter(([, received, explained]) => received !== explained)
    .map(([what, received, explained]) => ({
      promise: 'P9',
      detail: `${what}: ${received} were received, the counters explain ${explained}`,
    }));
}
