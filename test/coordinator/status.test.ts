import { describe, expect, it } from 'vitest';
import { advance, disconnected, hello, receive } from '../../coordinator/run.ts';
import { statusOf } from '../../coordinator/status.ts';
import { whatIsWaitedFor } from '../../coordinator/waits.ts';
import {
  doneAt,
  emptyRun,
  helloOf,
  logitsOf,
  progressAt,
  readyWith,
  settingsWith,
  startedRun,
} from './support.ts';

describe('statusOf', () => {
  it('shows a peer of which nothing is known yet', () => {
    const run = emptyRun(['a', 'b']);
    hello(run, 1, helloOf('a'), 0);
    expect(statusOf(run, 2500, 1000)).toEqual({
      ...{ run: 'run', method: 'dml', phase: 'waiting', seconds: 1.5, rounds: { committed: 0, missed: 0 } },
      waitingFor: '1 of 2 peers are here; 1 more to come; a loading; training starts when all are ready',
      waits: [{ kind: 'join', peers: ['b'], seconds: 1.5 }],
      peers: [
        {
          ...{
            name: 'a',
            role: 'student',
            model: 'cnn-s',
            backend: 'wasm',
            device: 'a CPU',
            refusedBackends: null,
            connected: true,
            state: 'joining',
            step: 0,
            steps: 0,
          },
          ...{ loss: null, accuracy: null, testAccuracy: null, imagesPerSecond: 0, waitFraction: 0 },
          collapsed: null,
          quarantined: null,
        },
      ],
    });
  });

  it('shows the newest reports of each peer, in the order of names', () => {
    const run = startedRun(['b', 'a']);
    receive(run, 'b', progressAt(3), 0);
    receive(run, 'b', progressAt(4), 0);
    receive(run, 'b', { type: 'evaluation', step: 4, accuracy: 0.875, nll: 1, ece: 0 }, 0);
    receive(run, 'b', { type: 'notice', event: 'collapsed', step: 4, reason: 'loss 2.30' }, 0);
    disconnected(run, 'a', 2, 'gone', 0);
    const { phase, peers } = statusOf(run, 0, 0);
    expect(phase).toBe('training');
    expect(peers).toMatchObject([
      { name: 'a', connected: false, state: 'training' },
      {
        ...{ name: 'b', connected: true, step: 4, steps: 10, loss: 3, accuracy: 0.5, testAccuracy: 0.875 },
        ...{ imagesPerSecond: 100, waitFraction: 0.25, collapsed: 'loss 2.30' },
      },
    ]);
  });

  it('counts the rounds that had targets, and the answers without one', () => {
    const run = startedRun(['a', 'b', 'c']);
    for (const peer of ['a', 'b']) receive(run, peer, logitsOf(0), 0);
    advance(run, 10_000);
    receive(run, 'c', logitsOf(0), 10_000);
    disconnected(run, 'c', 3, 'gone', 10_000);
    receive(run, 'b', logitsOf(1, [NaN, 0]), 10_000);
    receive(run, 'a', logitsOf(1), 10_000);
    // Late, refused, and without teachers.
    expect(statusOf(run, 0, 0).rounds).toEqual({ committed: 1, missed: 3 });
  });
});

describe('whatIsWaitedFor', () => {
  it('names who is loading and how many are missing, until all are ready', () => {
    const run = emptyRun(['a', 'b']);
    expect(whatIsWaitedFor(run, 0)).toBe(
      '0 of 2 peers are here; 2 more to come; training starts when all are ready',
    );
    hello(run, 1, helloOf('a'), 0);
    receive(run, 'a', readyWith(), 0);
    expect(whatIsWaitedFor(run, 0)).toBe(
      '1 of 2 peers are here; 1 more to come; training starts when all are ready',
    );
    hello(run, 2, helloOf('b'), 0);
    expect(whatIsWaitedFor(run, 0)).toBe(
      '2 of 2 peers are here; b loading; training starts when all are ready',
    );
    receive(run, 'b', readyWith(), 0);
    expect(whatIsWaitedFor(run, 0)).toBeNull();
  });

  it('says for whom a round waits, how long already and how much longer', () => {
    const run = startedRun(['a', 'b', 'c'], settingsWith({ maxWait: '10s' }));
    receive(run, 'b', logitsOf(7), 500);
    expect(whatIsWaitedFor(run, 1499)).toBeNull();
    expect(whatIsWaitedFor(run, 3500)).toBe(
      'round 7 has waited 3.0 s for a, c; the round goes on without in 7.0 s',
    );
    receive(run, 'a', logitsOf(7), 3500);
    expect(whatIsWaitedFor(run, 4000)).toBe(
      'round 7 has waited 3.5 s for c; the round goes on without in 6.5 s',
    );
    expect(whatIsWaitedFor(run, 99_000)).toContain('goes on without in 0.0 s');
  });

  it('says that there is no deadline when the quorum is all', () => {
    const run = startedRun(['a', 'b'], settingsWith({ quorum: 'all' }));
    receive(run, 'b', logitsOf(2), 0);
    expect(whatIsWaitedFor(run, 60_000)).toBe(
      'round 2 has waited 1 min 0 s for a; the quorum is all, so the round stays open until then',
    );
  });

  it('says nothing between rounds, and nothing when the run is over', () => {
    const run = startedRun(['a']);
    expect(whatIsWaitedFor(run, 60_000)).toBeNull();
    receive(run, 'a', doneAt(10), 0);
    expect(whatIsWaitedFor(run, 60_000)).toBeNull();
    expect(statusOf(run, 0, 0).phase).toBe('finished');
  });
});
