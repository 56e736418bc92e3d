import { describe, expect, it } from 'vitest';
import { advance, disconnected, hello, receive } from '../../coordinator/run.ts';
import type { Run } from '../../coordinator/runState.ts';
import {
  closesOf,
  doneAt,
  emptyRun,
  eventsOf,
  helloOf,
  logitsOf,
  predictionsOf,
  progressAt,
  readyWith,
  sentBy,
  settingsWith,
  startedRun,
  startOf,
} from './support.ts';

const LEASE_MS = 30_000;

function statesOf(run: Run): string[] {
  return [...run.members.values()].map(({ name, state }) => `${name} ${state}`);
}

describe('hello', () => {
  it('is answered by a welcome that tells the settings', () => {
    const settings = settingsWith({ quorum: 'all' });
    const run = emptyRun(['a', 'b'], settings);
    expect(hello(run, 7, helloOf('a'), 0)).toEqual([
      { type: 'attach', connection: 7, peer: 'a' },
      { type: 'event', record: { event: 'joined', peer: 'a', reason: 'cnn-s on wasm' } },
      {
        ...{ type: 'send', connection: 7 },
        message: {
          type: 'welcome',
          protocol: 1,
          run: 'run',
          name: 'a',
          model: 'cnn-s',
          pingEvery: 5_000,
          experiment: settings,
        },
      },
    ]);
  });

  it('is refused when the run has its peers, or is over', () => {
    const run = startedRun(['a']);
    expect(hello(run, 2, helloOf('b'), 0)).toEqual([
      { type: 'close', connection: 2, code: 4003, reason: 'the run has its 1 students already: a' },
      {
        type: 'event',
        record: { event: 'refused', peer: 'b', reason: 'the run has its 1 students already: a' },
      },
    ]);
    receive(run, 'a', doneAt(1), 0);
    expect(closesOf(hello(run, 3, helloOf('a'), 0))).toEqual([[3, 4003, 'the run is over']]);
  });

  it('with the name of a peer that is in takes over from its connection', () => {
    const run = startedRun(['a', 'b']);
    receive(run, 'b', logitsOf(0), 0);
    const effects = hello(run, 9, helloOf('a'), 0);
    expect(closesOf(effects)).toEqual([[1, 4004, 'a newer connection took the name "a"']]);
    // The others no longer wait for the one that is not yet ready again.
    expect(sentBy(effects).map(([to, { type }]) => [to, type])).toEqual([
      [9, 'welcome'],
      [2, 'noTarget'],
    ]);
    expect(disconnected(run, 'a', 1, 'closed', 0)).toEqual([]);
    expect(sentBy(receive(run, 'a', readyWith(), 0))).toEqual([[9, startOf(['a', 'b'], 'a')]]);
  });

  it('before the start takes over the name and nothing else', () => {
    const run = emptyRun(['a']);
    hello(run, 1, helloOf('a'), 0);
    run.members.get('a')!.ready = readyWith({ classes: 100 });
    hello(run, 2, helloOf('a'), 0);
    expect(sentBy(receive(run, 'a', readyWith(), 0))).toEqual([[2, startOf(['a'], 'a')]]);
  });

  it('of a done peer lets it hand in its results again, but not start a second life', () => {
    const run = startedRun(['a', 'b']);
    receive(run, 'a', doneAt(10), 0);
    expect(hello(run, 3, helloOf('a'), 0)).toContainEqual({ type: 'attach', connection: 3, peer: 'a' });
    expect(receive(run, 'a', readyWith(), 0)).toEqual([]);
    expect(statesOf(run)).toEqual(['a done', 'b training']);
    const reborn = hello(run, 4, helloOf('a', { incarnation: 'another-life' }), 0);
    expect(closesOf(reborn)).toEqual([[4, 1000, '"a" is done already']]);
    expect(run.connections.get('a')).toBe(3);
  });

  it('is malformed as a later message', () => {
    const run = startedRun(['a']);
    const effects = receive(run, 'a', helloOf('a'), 0);
    expect(closesOf(effects)).toEqual([
      [1, 4007, 'hello: expected once, as the first message of a connection'],
    ]);
    expect(eventsOf(effects)).toEqual(['malformed a']);
  });
});

describe('ready', () => {
  it('starts the run once every place has a peer that is ready, and names all in order', () => {
    const run = emptyRun(['b', 'a']);
    hello(run, 1, helloOf('b'), 0);
    expect(receive(run, 'b', readyWith(), 0)).toEqual([]);
    hello(run, 2, helloOf('a'), 0);
    expect(run.phase).toBe('waiting');
    expect(receive(run, 'a', readyWith({ parameters: 5 }), 0)).toEqual([
      { type: 'event', record: { event: 'started' } },
      { type: 'send', connection: 2, message: startOf(['a', 'b'], 'a') },
      { type: 'send', connection: 1, message: startOf(['a', 'b'], 'b') },
    ]);
    expect(statesOf(run)).toEqual(['b training', 'a training']);
  });

  it('is refused with other data than that of the others, and frees the place', () => {
    const run = emptyRun(['a', 'b']);
    hello(run, 1, helloOf('a'), 0);
    hello(run, 2, helloOf('b'), 0);
    receive(run, 'a', readyWith(), 0);
    const effects = receive(run, 'b', readyWith({ classes: 10 }), 0);
    expect(closesOf(effects)).toEqual([[2, 4003, 'classes: expected 2 (as a has), got 10']]);
    expect(eventsOf(effects)).toEqual(['refused b', 'left b']);
    expect(statesOf(run)).toEqual(['a ready']);
    expect(disconnected(run, 'b', 2, 'closed', 0)).toEqual([]);
    hello(run, 3, helloOf('c'), 0);
    expect(sentBy(receive(run, 'c', readyWith(), 0))).toHaveLength(2);
  });

  it('with other data under way is refused; the run neither waits for that peer nor forgets it', () => {
    const run = startedRun(['a', 'b'], settingsWith({ quorum: 'all' }));
    receive(run, 'a', logitsOf(0), 0);
    const effects = receive(run, 'b', readyWith({ testSize: 5 }), 0);
    expect(closesOf(effects)).toEqual([[2, 4003, 'test samples: expected 4 (as a has), got 5']]);
    expect(sentBy(effects)).toEqual([]);
    // It keeps its place for as long as its lease, as any other that is away.
    expect(sentBy(advance(run, LEASE_MS))).toMatchObject([[1, { type: 'noTarget', round: 0 }]]);
    expect(receive(run, 'a', doneAt(10), LEASE_MS)).toContainEqual({ type: 'finished' });
    expect(statesOf(run)).toEqual(['a done', 'b lost']);
  });

  it('is compared with what the same peer declared before, alone as it may be', () => {
    const run = startedRun(['a']);
    receive(run, 'a', predictionsOf([0, 1], [1]), 0);
    expect(closesOf(receive(run, 'a', readyWith({ classes: 3 }), 0))).toEqual([
      [1, 4003, 'classes: expected 2 (as a has), got 3'],
    ]);
  });

  it('does not start a run that is over', () => {
    const run = emptyRun(['a']);
    hello(run, 1, helloOf('a'), 0);
    run.phase = 'finished';
    expect(receive(run, 'a', readyWith(), 0)).toEqual([]);
    expect(run.phase).toBe('finished');
  });
});

describe('reports', () => {
  it('are kept as the newest, and recorded as metrics', () => {
    const run = startedRun(['a']);
    const { type, phase, ...progress } = progressAt(3);
    expect(receive(run, 'a', progressAt(3), 0)).toEqual([
      { type: 'metrics', record: { kind: 'progress', peer: 'a', ...progress } },
    ]);
    expect(receive(run, 'a', progressAt(4, { phase: 'evaluating' }), 0)).toEqual([]);
    const evaluation = { accuracy: 0.5, nll: 1.5, ece: 0.25 };
    expect(receive(run, 'a', { type: 'evaluation', step: 4, ...evaluation }, 0)).toEqual([
      { type: 'metrics', record: { kind: 'evaluation', peer: 'a', step: 4, ...evaluation } },
    ]);
    expect(run.members.get('a')).toMatchObject({
      progress: progressAt(4, { phase: 'evaluating' }),
      evaluation,
    });
  });

  it('of an evaluation keep the others waiting, up to its end', () => {
    const run = startedRun(['a', 'b'], settingsWith({ maxWait: '1s' }));
    for (const peer of ['a', 'b']) receive(run, peer, logitsOf(0), 0);
    receive(run, 'a', logitsOf(1), 0);
    receive(run, 'b', progressAt(1, { phase: 'evaluating' }), 900);
    expect(advance(run, 1800)).toEqual([]);
    expect(sentBy(advance(run, 1900))).toMatchObject([[1, { type: 'noTarget', reason: 'noTeachers' }]]);
  });

  it('of a collapse are an event, and are taken back by a recovery', () => {
    const run = startedRun(['a']);
    const notice = { type: 'notice', step: 3, reason: 'loss 2.30' } as const;
    expect(receive(run, 'a', { ...notice, event: 'collapsed' }, 0)).toEqual([
      { type: 'event', record: { event: 'collapsed', peer: 'a', reason: 'loss 2.30' } },
    ]);
    expect(run.members.get('a')!.collapsed).toBe('loss 2.30');
    expect(eventsOf(receive(run, 'a', { ...notice, event: 'recovered' }, 0))).toEqual(['recovered a']);
    expect(run.members.get('a')!.collapsed).toBeNull();
  });
});

describe('results', () => {
  it('end the run when the last peer is done', () => {
    const run = startedRun(['a', 'b']);
    expect(receive(run, 'a', predictionsOf([0, 1, 0, 1], [0, 1]), 0)).toEqual([]);
    expect(run.predictions.get('a')).toMatchObject({ rows: 2 });
    expect(receive(run, 'a', doneAt(10), 0)).toEqual([
      { type: 'event', record: { event: 'done', peer: 'a', reason: 'finished after 10 steps' } },
    ]);
    expect(receive(run, 'b', doneAt(7, { outcome: 'interrupted' }), 0)).toEqual([
      { type: 'event', record: { event: 'done', peer: 'b', reason: 'interrupted after 7 steps' } },
      { type: 'finished' },
    ]);
    expect(run.phase).toBe('finished');
  });

  it('of one peer do not stop the others', () => {
    const run = startedRun(['a', 'b', 'c']);
    receive(run, 'a', logitsOf(0), 0);
    receive(run, 'b', logitsOf(0), 0);
    expect(sentBy(receive(run, 'c', doneAt(0), 0)).map(([to, { type }]) => [to, type])).toEqual([
      [1, 'target'],
      [2, 'target'],
    ]);
  });

  it.each([doneAt(1), predictionsOf([0, 1], [0])])('are malformed before the start ($type)', (message) => {
    const run = emptyRun(['a', 'b']);
    hello(run, 1, helloOf('a'), 0);
    receive(run, 'a', readyWith(), 0);
    expect(closesOf(receive(run, 'a', message, 0))).toEqual([
      [1, 4007, `${message.type}: expected after start`],
    ]);
    // And leave no trace: the place is free for another.
    disconnected(run, 'a', 1, 'malformed', 0);
    expect(statesOf(run)).toEqual([]);
  });

  it('are malformed with other classes than the run, or with a gap', () => {
    const run = startedRun(['a']);
    const wide = {
      ...predictionsOf([0, 1], [0]),
      shape: [1, 3] as [number, number],
      data: new Uint8Array(12),
    };
    expect(closesOf(receive(run, 'a', wide, 0))).toEqual([
      [1, 4007, 'predictions.shape[1]: expected 2, got 3'],
    ]);
    expect(closesOf(receive(run, 'a', predictionsOf([0, 1], [0], 2), 0))).toEqual([
      [1, 4007, 'predictions.offset: expected the next row 0, got 2'],
    ]);
  });
});

describe('a peer that is away', () => {
  it('gives up its place at once before the start', () => {
    const run = emptyRun(['a']);
    hello(run, 1, helloOf('a'), 0);
    expect(disconnected(run, 'a', 1, 'gone', 0)).toEqual([
      { type: 'event', record: { event: 'left', peer: 'a', reason: 'gone' } },
    ]);
    expect(eventsOf(hello(run, 2, helloOf('b'), 0))).toEqual(['joined b']);
  });

  it('keeps its place for the length of the lease, and is then lost', () => {
    const run = startedRun(['a', 'b']);
    disconnected(run, 'a', 1, 'gone', 5);
    expect(advance(run, 4 + LEASE_MS)).toEqual([]);
    expect(advance(run, 5 + LEASE_MS)).toEqual([
      { type: 'event', record: { event: 'lost', peer: 'a', reason: 'away for 30 s' } },
    ]);
    expect(advance(run, 6 + LEASE_MS)).toEqual([]);
    expect(receive(run, 'b', doneAt(10), 0)).toContainEqual({ type: 'finished' });
  });

  it('may come back even after that, while the run goes on', () => {
    const run = startedRun(['a', 'b']);
    disconnected(run, 'a', 1, 'gone', 0);
    advance(run, LEASE_MS);
    hello(run, 3, helloOf('a'), 2 * LEASE_MS);
    expect(sentBy(receive(run, 'a', readyWith(), 2 * LEASE_MS))).toMatchObject([[3, { type: 'start' }]]);
    receive(run, 'b', doneAt(10), 2 * LEASE_MS);
    expect(run.phase).toBe('training');
    expect(receive(run, 'a', doneAt(10), 2 * LEASE_MS)).toContainEqual({ type: 'finished' });
  });

  it('ends the run when nobody else is at work', () => {
    const run = startedRun(['a', 'b']);
    receive(run, 'a', doneAt(10), 0);
    disconnected(run, 'b', 2, 'gone', 0);
    expect(disconnected(run, 'a', 1, 'gone', 0)).toEqual([]);
    expect(advance(run, LEASE_MS).at(-1)).toEqual({ type: 'finished' });
  });

  it('gets no answers', () => {
    const run = startedRun(['a', 'b']);
    receive(run, 'a', logitsOf(0), 0);
    disconnected(run, 'a', 1, 'gone', 0);
    expect(sentBy(receive(run, 'b', logitsOf(0), 0)).map(([to]) => to)).toEqual([2]);
  });
});

describe('a peer that is back, but never gets ready', () => {
  it('holds up the end of the run for ten leases, not for ever', () => {
    const run = startedRun(['a', 'b']);
    disconnected(run, 'b', 2, 'gone', 0);
    hello(run, 3, helloOf('b'), 1000);
    receive(run, 'a', doneAt(10), 1000);
    expect(advance(run, 999 + 10 * LEASE_MS)).toEqual([]);
    const effects = advance(run, 1000 + 10 * LEASE_MS);
    expect(closesOf(effects)).toEqual([[3, 4005, 'not ready within 300 s']]);
    expect(eventsOf(effects)).toEqual(['lost b']);
    expect(effects.at(-1)).toEqual({ type: 'finished' });
  });

  it('is waited for before the start', () => {
    const run = emptyRun(['a']);
    hello(run, 1, helloOf('a'), 0);
    expect(advance(run, 1000 * LEASE_MS)).toEqual([]);
  });
});
