import { describe, expect, it } from 'vitest';
import { advance, disconnected, hello, receive } from '../../coordinator/run.ts';
import type { Run } from '../../coordinator/runState.ts';
import { statusOf, whyNotReady } from '../../coordinator/status.ts';
import { waitsOf, whatIsWaitedFor } from '../../coordinator/waits.ts';
import { doneAt, emptyRun, helloOf, logitsOf, progressAt, readyOf, startedRun } from './support.ts';

/** Kind, peers and seconds of each wait. */
const briefly = (run: Run, nowMs: number) =>
  waitsOf(run, nowMs, 0).map(({ kind, peers, seconds }) => [kind, peers.join(' '), seconds]);

describe('a run waits', () => {
  it('for peers that are not here, then for those that load', () => {
    const run = emptyRun(['a', 'b']);
    hello(run, 1, helloOf('a'), 1_000);
    expect(briefly(run, 2_000)).toEqual([['join', 'b', 2]]);
    hello(run, 2, helloOf('b'), 3_000);
    receive(run, 'a', readyOf('a'), 3_000);
    expect(briefly(run, 4_000)).toEqual([['load', 'b', 4]]);
  });

  it('for a round, and says what keeps its peers', () => {
    const run = startedRun(['a', 'b', 'c', 'd']);
    receive(run, 'a', logitsOf(190), 0);
    receive(run, 'b', progressAt(160, { phase: 'evaluating' }), 0);
    receive(run, 'c', progressAt(40), 0);
    expect(briefly(run, 2_000)).toEqual([['round', 'b c d', 2]]);
    expect(whatIsWaitedFor(run, 2_000)).toBe(
      'round 190 has waited 2.0 s for b (evaluating), c (in its burn-in, step 40), d; the round goes on without in 8.0 s',
    );
  });

  it('for the students, where a teacher is early', () => {
    const run = startedRun(['a', 't']);
    receive(run, 't', logitsOf(150), 0);
    expect(briefly(run, 60_000)).toEqual([['students', 'a', null]]);
    expect(whatIsWaitedFor(run, 0)).toBe(
      'round 150 is early: its teachers wait for the students to come that far',
    );
  });

  it('for a peer that is away, for as long as its lease runs, and for one that is back and loads', () => {
    const run = startedRun(['a', 'b']);
    disconnected(run, 'b', 2, 'gone', 1_000);
    expect(briefly(run, 1_999)).toEqual([]);
    expect(briefly(run, 13_000)).toEqual([['away', 'b', 12]]);
    expect(whatIsWaitedFor(run, 13_000)).toBe('b has been away for 12 s; it loses its place in 18 s');
    hello(run, 3, helloOf('b'), 20_000);
    expect(whatIsWaitedFor(run, 25_000)).toBe(
      'b is back and has loaded for 5.0 s; it has 4 min 55 s more to get ready',
    );
  });

  it('for its end, and tells a peer that is silent', () => {
    const run = startedRun(['a', 'b']);
    receive(run, 'b', progressAt(4), 500);
    receive(run, 'a', doneAt(10), 1_000);
    expect(briefly(run, 4_000)).toEqual([['end', 'b', 3]]);
    expect(whatIsWaitedFor(run, 4_000)).toBe(
      'the end waits for b at step 4 of 10; the results are saved when all are done',
    );
    expect(whatIsWaitedFor(run, 60_500)).toContain('b at step 4 of 10, silent, lost in 30 s;');
  });

  it('for results when it is stopped, and then for nothing', () => {
    const run = startedRun(['a', 'b']);
    receive(run, 'a', doneAt(10), 0);
    run.drainingUntilMs = 2_500;
    expect(briefly(run, 1_000)).toEqual([['drain', 'b', null]]);
    expect(whatIsWaitedFor(run, 1_000)).toBe(
      'stopping: b may hand in results for 1.5 s; then they are saved',
    );
    run.phase = 'finished';
    expect(briefly(run, 1_000)).toEqual([]);
  });

  it('for any student when all have left', () => {
    const run = startedRun(['a']);
    disconnected(run, 'a', 1, 'gone', 0);
    advance(run, 30_000);
    expect(briefly(run, 40_000)).toEqual([['away', 'a', 40]]);
    expect(whatIsWaitedFor(run, 40_000)).toBe(
      'all students have left; the run goes on as soon as one of them is back',
    );
  });

  it('for several things at once, in the status as sentences and as data', () => {
    const run = startedRun(['a', 'b', 'c']);
    disconnected(run, 'c', 3, 'gone', 0);
    receive(run, 'a', logitsOf(7), 0);
    const { waitingFor, waits } = statusOf(run, 2_000, 0);
    expect(waits).toEqual([
      { kind: 'round', peers: ['b'], seconds: 2 },
      { kind: 'away', peers: ['c'], seconds: 2 },
    ]);
    expect(waitingFor).toMatch(/^round 7 has waited 2.0 s for b; .*; c has been away for 2.0 s; /);
  });
});

describe('whyNotReady', () => {
  it('is nothing while peers may join or train, and a reason when that is over', () => {
    const run = emptyRun(['a']);
    expect(whyNotReady(run)).toBeNull();
    expect(whyNotReady(startedRun(['a']))).toBeNull();
    run.drainingUntilMs = 1;
    expect(whyNotReady(run)).toBe('the run is being stopped');
    run.phase = 'finished';
    expect(whyNotReady(run)).toBe('the run is over');
  });
});
