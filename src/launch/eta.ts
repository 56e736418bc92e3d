import type { PeerStatus, RunStatus } from '../results/types.ts';

/** When each peer's first step of a phase was seen; rates count from there, so that start-up does not dilute them. */
export type StepClock = Map<string, { readonly step: number; readonly at: number }>;

/** @param now milliseconds */
export function startStepClock({ peers }: RunStatus, now: number): StepClock {
  return new Map(peers.map(({ name, step }) => [name, { step, at: now }]));
}

/**
 * Seconds until a peer has done its last step at its rate so far, or null while that cannot be told. Moves a peer's start
 * in `clock` until it takes its first step.
 *
 * @param now milliseconds
 */
export function secondsLeft(clock: StepClock, peer: PeerStatus, now: number): number | null {
  const start = clock.get(peer.name);
  if (start === undefined || peer.step <= start.step) {
    clock.set(peer.name, { step: peer.step, at: now });
    return null;
  }
  if (peer.state !== 'training') return null;
  return (((now - start.at) / (peer.step - start.step)) * (peer.steps - peer.step)) / 1000;
}
