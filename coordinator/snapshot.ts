import { teachesIn } from './exchange.ts';
import type { RunSnapshot } from './journal/types.ts';
import { byName, type Member } from './members.ts';
import { expectBack, leave } from './rounds.ts';
import type { Run } from './runState.ts';
import { faultsOf, restoreFaults } from './suspects/suspects.ts';
import { createTraffic } from './traffic.ts';

/** What a journal keeps of a run. */
export function snapshotOf(run: Run): RunSnapshot {
  const { options, phase, wants, keys, members, rounds, committed, missed, suspects } = run;
  return {
    ...{ id: options.id, phase, wants, committed, missed: { ...missed } },
    keys: [...keys],
    lastClosed: rounds.lastClosed,
    quarantined: faultsOf(suspects),
    members: byName(members).map(
      ({ connected, sinceMs, workedAtMs, progress, traffic, ...member }) => member,
    ),
  };
}

/**
 * Goes on with a run whose coordinator was away. Nobody is connected; who was in the run is expected back within its
 * lease, and what it had handed in comes again.
 */
export function restore(run: Run, left: RunSnapshot, nowMs: number): void {
  run.phase = left.phase === 'waiting' ? 'waiting' : 'training';
  run.wants = left.wants;
  run.committed = left.committed;
  Object.assign(run.missed, left.missed);
  run.rounds.lastClosed = left.lastClosed;
  for (const [name, key] of left.keys) run.keys.set(name, key);
  restoreFaults(run.suspects, left.quarantined);
  // Before the start, a peer has its place for as long as it is connected.
  if (run.phase === 'waiting') return;
  for (const kept of left.members) {
    // Who had finished is still there, and hands it in again; who was stopped may be started again with the coordinator.
    const state = kept.state === 'lost' && !kept.done ? 'lost' : 'training';
    const member: Member = {
      ...{ ...kept, state, connected: false, sinceMs: nowMs, workedAtMs: nowMs, progress: null, done: null },
      // Rounds that were open are gone: what is counted begins anew, so that the sums stay right.
      traffic: createTraffic(),
    };
    run.members.set(member.name, member);
    const part = { teaches: teachesIn(run, member), learns: member.role === 'student' };
    expectBack(run.rounds, member.name, nowMs, part);
    if (kept.done?.outcome === 'finished') leave(run.rounds, member.name, 'finished');
    else if (state === 'lost') leave(run.rounds, member.name, 'left');
  }
}

/** What a coordinator that is started again has to know. */
export function keep(run: Run): void {
  if (run.phase !== 'waiting') run.journal.snapshot(snapshotOf(run));
}
