import { describe, expect, it } from 'vitest';
import { secondsLeft, startStepClock } from '../../src/launch/eta.ts';
import { peerAt, statusOf } from './status.ts';

describe('the time left', () => {
  it('is that of the steps to go at the rate since the first step', () => {
    const clock = startStepClock(statusOf([peerAt(0)]), 1_000);
    // 155 steps in 31 s: 620 more take 124 s.
    expect(secondsLeft(clock, peerAt(155), 32_000)).toBeCloseTo(124, 9);
    expect(secondsLeft(clock, peerAt(775), 156_000)).toBe(0);
  });

  it('is unknown before the first step, and does not count the time until then', () => {
    const clock = startStepClock(statusOf([peerAt(0)]), 0);
    expect(secondsLeft(clock, peerAt(0), 60_000)).toBeNull();
    expect(secondsLeft(clock, peerAt(75), 67_500)).toBeCloseTo(70, 9);
  });

  it('counts from the step that a peer was seen at first', () => {
    const clock = startStepClock(statusOf([peerAt(500)]), 0);
    // 25 steps in 5 s: 250 more take 50 s.
    expect(secondsLeft(clock, peerAt(525), 5_000)).toBeCloseTo(50, 9);
  });

  it('begins anew for a peer that went back, as one does that was started again', () => {
    const clock = startStepClock(statusOf([peerAt(100)]), 0);
    expect(secondsLeft(clock, peerAt(0), 10_000)).toBeNull();
    expect(secondsLeft(clock, peerAt(155), 41_000)).toBeCloseTo(124, 9);
  });

  it('knows peers that joined after the clock was started', () => {
    const clock = startStepClock(statusOf([]), 0);
    expect(secondsLeft(clock, peerAt(5), 1_000)).toBeNull();
    expect(secondsLeft(clock, peerAt(15), 2_000)).toBeCloseTo(76, 9);
  });

  it('keeps the clocks of peers apart', () => {
    const [fast, slow] = [peerAt(0), peerAt(0, { name: 'peer-2' })];
    const clock = startStepClock(statusOf([fast, slow]), 0);
    expect(secondsLeft(clock, { ...fast, step: 310 }, 1_000)).toBeCloseTo(1.5, 9);
    expect(secondsLeft(clock, { ...slow, step: 31 }, 1_000)).toBeCloseTo(24, 9);
  });

  it.each(['joining', 'ready', 'done', 'lost'] as const)('is unknown for a peer that is %s', (state) => {
    const clock = startStepClock(statusOf([peerAt(0)]), 0);
    expect(secondsLeft(clock, peerAt(100, { state }), 1_000)).toBeNull();
  });
});
