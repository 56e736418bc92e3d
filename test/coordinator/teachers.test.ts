import { describe, expect, it } from 'vitest';
import { advance, disconnected, hello, receive } from '../../coordinator/run.ts';
import { statusOf } from '../../coordinator/status.ts';
import { summarise } from '../../coordinator/summary.ts';
import type { Wants } from '../../src/protocol/messages.ts';
import {
  closesOf,
  doneAt,
  emptyRun,
  encodingOf,
  eventsOf,
  helloOf,
  logitsOf,
  predictionsOf,
  progressAt,
  readyOf,
  readyWith,
  rowsOf,
  sentBy,
  settingsWith,
  startedRun,
  tensorOf,
  WANTS,
} from './support.ts';

const LEASE_MS = 30_000;
const FEATURES: Wants = {
  ...WANTS,
  ...{ logits: false, encodings: [{ layer: 'stage1', encoder: 'attention@1' }] },
};
const LAYERS = { stage1: [4, 4, 8], embedding: [8] };

/** What a peer is told, by its connection. */
const toldTo = (effects: Parameters<typeof sentBy>[0], to: number) =>
  sentBy(effects).flatMap(([connection, message]) => (connection === to ? [message] : []));

describe('the start of a run with a teacher', () => {
  it('tells students who teaches them, and the teacher what they need', () => {
    const run = emptyRun(['a', 't']);
    hello(run, 1, helloOf('a'), 0);
    hello(run, 2, helloOf('t', { model: 'resnet8' }), 0);
    receive(run, 'a', readyWith({ wants: FEATURES, layers: LAYERS }), 0);
    const effects = receive(run, 't', readyOf('t', readyWith({ layers: LAYERS })), 0);
    const peers = ['a', 't'];
    const teachers = [{ name: 't', model: 'resnet8', layers: LAYERS }];
    expect(toldTo(effects, 1)).toEqual([{ type: 'start', peers, teachers }]);
    expect(toldTo(effects, 2)).toEqual([{ type: 'start', peers, wants: FEATURES }]);
  });

  it('tells students that learn alone of no teachers', () => {
    const run = startedRun(['a', 'b'], settingsWith(), readyOf('t'));
    expect(run.wants).toBeNull();
    const effects = receive(run, 'a', readyOf('t'), 0);
    expect(toldTo(effects, 1)).toEqual([{ type: 'start', peers: ['a', 'b'] }]);
  });

  it('goes by the needs of those that are there, not of one that has left before', () => {
    const run = emptyRun(['a', 't']);
    hello(run, 1, helloOf('a'), 0);
    receive(run, 'a', readyWith({ wants: { ...WANTS, temperature: 9 } }), 0);
    disconnected(run, 'a', 1, 'gone', 0);
    hello(run, 2, helloOf('a'), 0);
    hello(run, 3, helloOf('t'), 0);
    receive(run, 'a', readyWith(), 0);
    receive(run, 't', readyOf('t'), 0);
    expect(run.wants).toEqual(WANTS);
  });
});

describe('a ready that does not fit', () => {
  const others = 'as all students learn by the same method';

  it.each<[string, string[], ReturnType<typeof readyWith>, string]>([
    [
      'other needs',
      ['a', 'b'],
      readyWith({ wants: { ...WANTS, temperature: 3 } }),
      `wants: expected those of a, ${others}`,
    ],
    ['no needs', ['a', 'b'], readyOf('t'), `wants: expected those of a, ${others}`],
    ['needs of a teacher', ['a', 't'], readyWith(), 'wants: expected none of a teacher'],
    [
      'a teacher that wants weights',
      ['a', 't'],
      readyWith({ wants: undefined, wantsWeights: true }),
      'wantsWeights: expected of a student alone, as a teacher has its own weights',
    ],
  ])('for %s is refused', (_, [first, second], ready, reason) => {
    const run = emptyRun([first!, second!]);
    hello(run, 1, helloOf(first!), 0);
    hello(run, 2, helloOf(second!), 0);
    receive(run, first!, readyWith(), 0);
    expect(closesOf(receive(run, second!, ready, 0))).toEqual([[2, 4003, reason]]);
  });

  it('for needs where the first one has none is refused too', () => {
    const run = emptyRun(['a', 'b']);
    for (const [i, name] of ['a', 'b'].entries()) hello(run, i + 1, helloOf(name), 0);
    receive(run, 'a', readyOf('t'), 0);
    expect(closesOf(receive(run, 'b', readyWith(), 0))).toEqual([
      [2, 4003, `wants: expected those of a, ${others}`],
    ]);
  });

  it('for features of several teachers is refused, unless each is compared by itself', () => {
    for (const names of [
      ['a', 't1', 't2'],
      ['a', 'b', 'c'],
    ]) {
      const run = emptyRun(names);
      hello(run, 1, helloOf('a'), 0);
      const reason =
        'features can be compared with those of one teacher, and here are 2: give the run two students, or one teacher';
      const ready = readyWith({ wants: FEATURES, layers: LAYERS });
      expect(closesOf(receive(run, 'a', ready, 0))).toEqual([[1, 4003, reason]]);
      hello(run, 2, helloOf('a'), 0);
      const apart = readyWith({ wants: { ...FEATURES, ensemble: 'apart' }, layers: LAYERS });
      expect(receive(run, 'a', apart, 0)).toEqual([]);
    }
  });

  it.each([
    ['the teacher comes last', ['a', 't']],
    ['the teacher comes first', ['t', 'a']],
  ])('for a layer that the teacher lacks is refused before training, when %s', (_, order) => {
    const run = emptyRun(['a', 't']);
    const effects = order.map((name, i) => {
      hello(run, i + 1, helloOf(name), 0);
      const layers = name === 't' ? { embedding: [8] } : LAYERS;
      return receive(run, name, readyOf(name, readyWith({ wants: FEATURES, layers })), 0);
    });
    const reason = 'the method needs layer stage1 of a teacher, and t has embedding';
    expect(closesOf(effects[0]!)).toEqual([]);
    expect(closesOf(effects[1]!)).toEqual([[2, 4003, reason]]);
    expect(run.phase).toBe('waiting');
  });
});

describe('the logits of a run with a teacher', () => {
  it('become a target for the student that sent its rows alone', () => {
    const run = startedRun(['a', 't']);
    expect(receive(run, 'a', rowsOf(0), 0)).toEqual([]);
    const effects = receive(run, 't', logitsOf(0, [1, 3]), 0);
    expect(sentBy(effects)).toMatchObject([
      [1, { type: 'target', round: 0, teachers: 1, logits: tensorOf([-2, 0]) }],
      [2, { type: 'advance', round: 0 }],
    ]);
    expect(toldTo(effects, 1)[0]).not.toHaveProperty('encodings');
    expect(run.committed).toBe(1);
  });

  it('bring the features of the teacher as it sent them, though its frame is gone', () => {
    const ready = readyWith({ wants: FEATURES, layers: LAYERS });
    const run = startedRun(['a', 't'], settingsWith(), ready);
    const sent = encodingOf([0.5, 0.25]);
    const message = rowsOf(0, { encodings: [{ ...sent, data: sent.data.slice() }] });
    receive(run, 't', message, 0);
    message.encodings![0]!.data.fill(0xff);
    const [target] = toldTo(receive(run, 'a', rowsOf(0), 0), 1);
    expect(target).toMatchObject({ type: 'target', encodings: [sent] });
    expect(target).not.toHaveProperty('logits');
  });

  it('bring the labels for an ensemble that needs them', () => {
    const wants: Wants = { ...WANTS, ensemble: 'best' };
    const run = startedRun(['a', 't1', 't2'], settingsWith(), readyWith({ wants }));
    receive(run, 'a', rowsOf(0, { labels: Uint8Array.of(1, 0) }), 0);
    receive(run, 't1', logitsOf(0, [4, 0]), 0);
    const effects = receive(run, 't2', logitsOf(0, [1, 0]), 0);
    expect(toldTo(effects, 1)).toMatchObject([{ teachers: 2, logits: tensorOf([0, -1]) }]);
  });

  const teaching = (wants: Wants) =>
    startedRun(['a', 't'], settingsWith(), readyWith({ wants, layers: LAYERS }));
  const labels = Uint8Array.of(0, 0);
  it.each([
    ['a', WANTS, logitsOf(0), "logits.logits: expected none, as the run's students do not need it"],
    ['t', WANTS, rowsOf(0), "logits.logits: expected it, as the run's students need it"],
    ['a', WANTS, rowsOf(0, { labels }), "logits.labels: expected none, as the run's students do not need it"],
    ['t', FEATURES, rowsOf(0), 'logits.encodings: expected stage1:attention@1, got none'],
    [
      'a',
      FEATURES,
      rowsOf(0, { encodings: [encodingOf([1])] }),
      'logits.encodings: expected none, got stage1:attention@1',
    ],
    [
      't',
      FEATURES,
      rowsOf(0, { encodings: [encodingOf([1], 'stage2')] }),
      'logits.encodings: expected stage1:attention@1, got stage2:attention@1',
    ],
    [
      't',
      FEATURES,
      rowsOf(0, { encodings: [{ ...encodingOf([1, 2]), shape: [2, 1] }] }),
      'logits.encodings[0].shape[0]: expected 1, got 2',
    ],
    [
      'a',
      { ...WANTS, ensemble: 'best' },
      rowsOf(0),
      "logits.labels: expected it, as the run's students need it",
    ],
    [
      'a',
      { ...WANTS, ensemble: 'best' },
      rowsOf(0, { labels: Uint8Array.of(0) }),
      'logits.labels: expected 2 bytes, got 1',
    ],
    [
      'a',
      { ...WANTS, ensemble: 'best' },
      rowsOf(0, { labels: Uint8Array.of(2, 0) }),
      'logits.labels[0]: expected a class below 2, got 2',
    ],
  ] as const)(
    'of %s with more, less or other than is needed end its connection (%#)',
    (peer, wants, message, reason) => {
      expect(closesOf(receive(teaching(wants), peer, message, 0))).toEqual([
        [peer === 'a' ? 1 : 2, 4007, reason],
      ]);
    },
  );

  it('are malformed where the students need nothing of others', () => {
    const run = startedRun(['a', 'b'], settingsWith(), readyOf('t'));
    const reason = 'logits: expected none, as the students need nothing of other peers';
    expect(closesOf(receive(run, 'a', rowsOf(0), 0))).toEqual([[1, 4007, reason]]);
  });

  it('of a teacher that are not finite are refused and recorded, and no missed target of a student', () => {
    const run = startedRun(['a', 't']);
    receive(run, 'a', rowsOf(0), 0);
    const effects = receive(run, 't', logitsOf(0, [NaN, 0]), 0);
    expect(sentBy(effects).map(([to, message]) => [to, message.type])).toEqual([
      [2, 'noTarget'],
      [1, 'noTarget'],
    ]);
    expect(eventsOf(effects)).toEqual(['missed t', 'missed a']);
    expect(run.missed).toEqual({ noTeachers: 1, quorum: 0, late: 0, refused: 0 });
  });
});

describe('the end of a run with a teacher', () => {
  const labels = [0, 1, 1, 1];
  const results = predictionsOf([4, 0, 0, 4, 0, 4, 4, 0], labels);

  it('comes when all students are done, and counts the teacher in where it should be', () => {
    const run = startedRun(['a', 'b', 't']);
    for (const name of ['a', 'b', 't']) receive(run, name, results, 0);
    receive(run, 'a', doneAt(9), 0);
    expect(receive(run, 'b', doneAt(9), 0)).toContainEqual({ type: 'finished' });
    const { peers, agreement, ensemble } = summarise(run, false, 1);
    expect(peers.map(({ name, role, outcome, steps }) => [name, role, outcome, steps])).toEqual([
      ['a', 'student', 'finished', 9],
      ['b', 'student', 'finished', 9],
      ['t', 'teacher', 'finished', 0],
    ]);
    expect(peers[2]!.test?.accuracy).toBe(0.75);
    expect(agreement).toBe(1);
    expect(ensemble?.accuracy).toBe(0.75);
    expect(statusOf(run, 0, 0).peers.map(({ role }) => role)).toEqual(['student', 'student', 'teacher']);
  });

  it('shows no progress of a teacher, which only says that it is busy', () => {
    const run = startedRun(['a', 't']);
    expect(receive(run, 't', progressAt(0, { phase: 'evaluating', loss: 0 }), 0)).toEqual([]);
    expect(statusOf(run, 0, 0).peers[1]).toMatchObject({ name: 't', step: 0, steps: 0, loss: null });
  });

  it('has no ensemble of one student and its teacher', () => {
    const run = startedRun(['a', 't']);
    for (const name of ['a', 't']) receive(run, name, results, 0);
    receive(run, 'a', doneAt(9), 0);
    expect(summarise(run, false, 1)).toMatchObject({ ensemble: null, agreement: null });
  });

  it('comes when the last student is lost and another one has finished, though the teacher is there', () => {
    const run = startedRun(['a', 'b', 't']);
    receive(run, 'b', doneAt(9), 0);
    disconnected(run, 'a', 1, 'gone', 0);
    expect(advance(run, LEASE_MS).at(-1)).toEqual({ type: 'finished' });
  });

  it('does not come when the teacher is lost; it is told so', () => {
    const run = startedRun(['a', 't']);
    disconnected(run, 't', 2, 'gone', 0);
    expect(eventsOf(advance(run, LEASE_MS))).toEqual(['lost t']);
    expect(run.phase).toBe('training');
    expect(receive(run, 'a', doneAt(9), 0)).toContainEqual({ type: 'finished' });
    expect(summarise(run, false, 1).peers.map(({ outcome }) => outcome)).toEqual(['finished', 'lost']);
  });

  it('finds a teacher lost that is away, however short', () => {
    const run = startedRun(['a', 't']);
    disconnected(run, 't', 2, 'gone', 0);
    receive(run, 'a', doneAt(9), 1);
    expect(summarise(run, false, 1).peers.map(({ outcome }) => outcome)).toEqual(['finished', 'lost']);
  });

  it('is an interruption for a teacher, too', () => {
    const run = startedRun(['a', 't']);
    receive(run, 't', progressAt(0, { phase: 'evaluating' }), 0);
    disconnected(run, 't', 2, 'gone', 0);
    receive(run, 'a', doneAt(3, { outcome: 'interrupted' }), 0);
    expect(summarise(run, true, 1).peers.map(({ outcome }) => outcome)).toEqual([
      'interrupted',
      'interrupted',
    ]);
  });
});
