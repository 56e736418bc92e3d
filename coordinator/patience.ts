/** How long a peer may take for things: computing blocks its event loop, and with it reading, and answers to pings. */

import { waitingFor } from './awaiting.ts';
import type { Member } from './members.ts';
import { type Run, SLOW_START_LEASES } from './runState.ts';
import { openOf } from './traffic.ts';

/** Leases that a peer may go without a sign of work while others wait for it. */
export const STALLED_LEASES = 3;

/**
 * What is usual, but three of its steps at least, and for its first step, which compiles kernels, more again. What it says
 * of its steps gives it no more than the first one has.
 */
export function patienceMs(run: Run, member: Member | undefined, usualMs: number): number {
  const { exchange, data } = run.options.settings;
  const rate = member?.progress?.imagesPerSecond;
  const mostMs = SLOW_START_LEASES * exchange.lease;
  const threeStepsMs = rate ? 3 * ((data.batchSize / rate) * 1000) : mostMs;
  return Math.max(usualMs, Math.min(threeStepsMs, mostMs));
}

/** Peers that wait for an answer cannot get on: their time begins when they have it. */
export function excuseWaiting(run: Run, nowMs: number): void {
  for (const member of run.members.values()) {
    if (openOf(run, member.name) > 0) member.workedAtMs = nowMs;
  }
}

/**
 * Whether a peer at work holds up others, and has not said a word about its work for longer than it may: it answers
 * pings, and is stuck all the same.
 */
export function isStuck(run: Run, member: Member, nowMs: number): boolean {
  return (
    member.connected &&
    member.state === 'training' &&
    nowMs - member.workedAtMs >= workPatienceMs(run, member) &&
    holdsUp(run, member)
  );
}

/** How long a peer may be at work without a word. */
export function workPatienceMs(run: Run, member: Member): number {
  return patienceMs(run, member, STALLED_LEASES * run.options.settings.exchange.lease);
}

/** Whether a round waits for a peer, or another student for the end of the run. */
function holdsUp(run: Run, { name, role }: Member): boolean {
  if (waitingFor(run.rounds)?.peers.includes(name)) return true;
  if (role === 'teacher') return false;
  return [...run.members.values()].some(
    (other) => other.role === 'student' && (other.state === 'done' || other.state === 'lost'),
  );
}
