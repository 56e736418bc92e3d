import { describe, expect, it } from 'vitest';
import { patienceMs } from '../../coordinator/patience.ts';
import { advance, receive } from '../../coordinator/run.ts';
import {
  closesOf,
  doneAt,
  eventsOf,
  logitsOf,
  progressAt,
  sentBy,
  settingsWith,
  startedRun,
} from './support.ts';

const LEASE_MS = 30_000;
const all = settingsWith({ quorum: 'all' });

describe('a peer that answers pings and does no work', () => {
  it('is lost after three leases when the others are through, and the run ends', () => {
    const run = startedRun(['a', 'b']);
    receive(run, 'b', progressAt(1), 5_000);
    receive(run, 'a', doneAt(10), 6_000);
    expect(advance(run, 4_999 + 3 * LEASE_MS)).toEqual([]);
    const effects = advance(run, 5_000 + 3 * LEASE_MS);
    expect(closesOf(effects)).toEqual([[2, 4005, 'no sign of work for 90 s, while others wait']]);
    expect(eventsOf(effects)).toEqual(['lost b']);
    expect(effects.at(-1)).toEqual({ type: 'finished' });
  });

  it('is lost when a round waits for it, however long a round may wait, and the round goes on', () => {
    const run = startedRun(['a', 'b', 'c'], all);
    for (const peer of ['a', 'b', 'c']) receive(run, peer, progressAt(1), 0);
    for (const peer of ['a', 'b']) receive(run, peer, logitsOf(0), 1_000);
    const effects = advance(run, 3 * LEASE_MS);
    expect(closesOf(effects)).toEqual([[3, 4005, 'no sign of work for 90 s, while others wait']]);
    expect(sentBy(effects).map(([to, { type }]) => [to, type])).toEqual([
      [1, 'target'],
      [2, 'target'],
    ]);
  });

  it('has ten leases for its first step, which may compile for minutes', () => {
    const run = startedRun(['a', 'b'], all);
    receive(run, 'a', logitsOf(0), 0);
    expect(advance(run, 10 * LEASE_MS - 1)).toEqual([]);
    expect(eventsOf(advance(run, 10 * LEASE_MS))).toEqual(['lost b', 'missed a']);
  });

  it('has three of its steps, where those are slow', () => {
    const run = startedRun(['a', 'b'], all);
    receive(run, 'b', progressAt(1, { imagesPerSecond: 0.02 }), 0);
    receive(run, 'a', logitsOf(1), 0);
    expect(advance(run, 149_999)).toEqual([]);
    expect(eventsOf(advance(run, 150_000))).toEqual(['lost b', 'missed a']);
  });

  it('is not lost while it evaluates and says so, or while it is a step behind and says that', () => {
    const run = startedRun(['a', 'b'], all);
    receive(run, 'a', logitsOf(5), 0);
    for (let now = 0; now < 20 * LEASE_MS; now += LEASE_MS) {
      receive(run, 'b', progressAt(1, { phase: now % 60_000 === 0 ? 'evaluating' : 'training' }), now);
      expect(advance(run, now + LEASE_MS - 1)).toEqual([]);
    }
  });

  it('is not lost while it waits itself, nor before it has had its time after that', () => {
    const run = startedRun(['a', 'b', 'c'], all);
    for (const peer of ['a', 'b', 'c']) receive(run, peer, progressAt(1), 0);
    receive(run, 'a', logitsOf(0), 0);
    receive(run, 'b', logitsOf(0), 0);
    for (let now = 0; now < 5 * LEASE_MS; now += LEASE_MS) {
      receive(run, 'c', progressAt(1), now);
      expect(advance(run, now + 1_000)).toEqual([]);
    }
    const answered = 5 * LEASE_MS;
    advance(run, answered);
    receive(run, 'c', logitsOf(0), answered);
    receive(run, 'c', logitsOf(1), answered);
    expect(advance(run, answered + 3 * LEASE_MS - 1)).toEqual([]);
    expect(eventsOf(advance(run, answered + 3 * LEASE_MS))).toEqual(['lost a', 'lost b', 'missed c']);
  });

  it('is left alone while nobody waits for it', () => {
    const run = startedRun(['a', 'b']);
    for (const peer of ['a', 'b']) receive(run, peer, progressAt(1), 0);
    expect(advance(run, 100 * LEASE_MS)).toEqual([]);
  });
});

describe('patienceMs', () => {
  it('is what is usual, but for slow steps and the first one', () => {
    const run = startedRun(['a', 'b']);
    expect(patienceMs(run, run.members.get('a'), 10_000)).toBe(10 * LEASE_MS);
    receive(run, 'a', progressAt(1, { imagesPerSecond: 100 }), 0);
    expect(patienceMs(run, run.members.get('a'), 10_000)).toBe(10_000);
    receive(run, 'a', progressAt(1, { imagesPerSecond: 0.1 }), 0);
    expect(patienceMs(run, run.members.get('a'), 10_000)).toBe(30_000);
  });

  it('is bounded, whatever a peer says of its steps', () => {
    const run = startedRun(['a', 'b']);
    receive(run, 'a', progressAt(1, { imagesPerSecond: 1e-300 }), 0);
    expect(patienceMs(run, run.members.get('a'), 10_000)).toBe(10 * LEASE_MS);
    expect(patienceMs(run, run.members.get('a'), 11 * LEASE_MS)).toBe(11 * LEASE_MS);
  });
});
