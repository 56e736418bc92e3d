import { describe, expect, it } from 'vitest';
import { float32 } from '../../src/codec/float32.ts';
import { targets } from '../../src/ensemble/targets.ts';
import type { TrafficSummary } from '../../src/results/types.ts';
import type { HistoryRecord } from './history.ts';
import { base64, batchOf, type Facts, logitsOf } from './scriptedPeer.ts';
import { validate } from './validator.ts';

const FACTS: Facts = { rows: 2, classes: 3, codec: 'float32', seed: 1 };
const PEERS = ['a', 'b', 'c'];
const { rows, classes } = FACTS;

/** A history in which everything went well, to be spoilt: three peers, three rounds. */
function history(): HistoryRecord[] {
  const records: HistoryRecord[] = [
    { at: 0, kind: 'started', program: 'coordinator' },
    {
      ...{ at: 0, kind: 'settings', folder: 'run', rows, classes, codec: 'float32', temperature: 2 },
      ...{ quorum: 1, maxWaitMs: 1_000, leaseMs: 3_000, complete: true },
    },
  ];
  for (const [i, peer] of PEERS.entries()) {
    records.push(received(1, peer, { type: 'welcome', run: 'run-1', name: peer, link: i + 1 }));
  }
  for (let round = 0; round < 3; round++) {
    for (const peer of PEERS) records.push(sent(10 * round + 10, peer, round));
    records.push(...answersTo(round, PEERS, 10 * round + 15));
  }
  records.push({
    at: 50,
    kind: 'summary',
    committed: 3,
    missed: { noTeachers: 0, quorum: 0, late: 0, refused: 0 },
    traffic: trafficOf(3 * PEERS.length),
  });
  records.push({ at: 51, kind: 'exited', program: 'coordinator', code: 0, asked: false });
  return records;
}

/** Of so many contributions, each answered by a target. */
function trafficOf(contributions: number): TrafficSummary {
  return {
    frames: { received: contributions + 10, accepted: contributions + 8, refused: { malformed: 2 } },
    contributions: { received: contributions, committed: contributions, unused: {}, open: 0 },
    answers: { targets: contributions, noTargets: 0, advances: 0, undelivered: 0, replaced: 0 },
    pieces: { sent: 0, dropped: 0 },
  };
}

const lifeOf = (peer: string) => ({ peer, life: `life-of-${peer}`, link: PEERS.indexOf(peer) + 1 });
const dataOf = (peer: string, round: number): string =>
  base64(float32.encode(logitsOf(FACTS, peer, round), rows, classes));

type RecordOf<K> = Extract<HistoryRecord, { kind: K }>;

function sent(
  at: number,
  peer: string,
  round: number,
  changes: Partial<RecordOf<'sent'>> = {},
): HistoryRecord {
  return {
    ...{ at, kind: 'sent', ...lifeOf(peer), type: 'logits', round, good: true },
    ...{ data: dataOf(peer, round), batch: base64(batchOf(round)) },
    ...changes,
  };
}

function received(at: number, peer: string, changes: Partial<RecordOf<'received'>>): HistoryRecord {
  return { at, kind: 'received', ...lifeOf(peer), type: 'target', ...changes };
}

/** The targets of a round that is made of what `from` predict. */
function answersTo(round: number, from: readonly string[], at: number): HistoryRecord[] {
  const logits = from.map((peer) => logitsOf(FACTS, peer, round));
  const all = targets('mean-probabilities', logits, { rows, classes, temperature: 2, includeSelf: false });
  return PEERS.map((peer) => {
    const own = from.indexOf(peer);
    const target = all[Math.max(0, own)]!;
    return received(at, peer, {
      ...{ round, teachers: from.length - 1, batch: base64(batchOf(round)) },
      data: base64(float32.encode(target, rows, classes)),
    });
  });
}

/** The promises that are broken, once each. */
const broken = (records: readonly HistoryRecord[]): string[] => [
  ...new Set(validate(records).map(({ promise }) => promise)),
];

const isAnswer = (record: HistoryRecord, peer: string, round: number): boolean =>
  record.kind === 'received' && record.type === 'target' && record.peer === peer && record.round === round;

/** The history with the answer to a peer in a round changed. */
function withAnswer(
  peer: string,
  round: number,
  change: (record: HistoryRecord) => readonly HistoryRecord[],
): HistoryRecord[] {
  return history().flatMap((record) => (isAnswer(record, peer, round) ? change(record) : [record]));
}

describe('a history that keeps all promises', () => {
  it('has no violations', () => {
    expect(validate(history())).toEqual([]);
  });

  it('may have a peer that was away, and is told later what all others predicted', () => {
    const ofTwo = targets('mean-probabilities', [logitsOf(FACTS, 'a', 1), logitsOf(FACTS, 'b', 1)], {
      ...{ rows, classes, temperature: 2, includeSelf: true },
    });
    const [toA, toB] = answersTo(1, ['a', 'b'], 25);
    const records = history().flatMap((record) => {
      if (isAnswer(record, 'a', 1)) return [toA!];
      if (isAnswer(record, 'b', 1)) return [toB!];
      if (!isAnswer(record, 'c', 1)) return [record];
      return [
        received(28, 'c', {
          ...{ round: 1, teachers: 2, batch: base64(batchOf(1)) },
          data: base64(float32.encode(ofTwo[0]!, rows, classes)),
        }),
      ];
    });
    expect(validate(records)).toEqual([]);
  });

  it('may have other runs after it', () => {
    const second = history().map((record) =>
      record.kind === 'settings'
        ? { ...record, folder: 'other' }
        : record.kind === 'received' && record.run
          ? { ...record, run: 'run-2' }
          : record,
    );
    expect(validate([...history(), ...second])).toEqual([]);
  });
});

describe('a history is caught that breaks', () => {
  it('P1: the coordinator ended by itself', () => {
    const records = history().map((record) => (record.kind === 'exited' ? { ...record, code: 1 } : record));
    expect(broken(records)).toEqual(['P1']);
    expect(broken(records.map((r) => (r.kind === 'exited' ? { ...r, asked: true } : r)))).toEqual([]);
  });

  it.each([65, Number.NaN])('P1: a bound is exceeded, by %d', (value) => {
    const bound: HistoryRecord = {
      ...{ at: 40, kind: 'bound', promise: 'P1', what: 'memory', value, most: 64, unit: 'MiB' },
    };
    expect(broken([...history(), bound])).toEqual(['P1']);
    expect(broken([...history(), { ...bound, value: 64 }])).toEqual([]);
  });

  it('P2: a target holds what no honest peer sends', () => {
    const records = history().map((record) =>
      record.kind === 'sent' && record.peer === 'c' && record.round === 1
        ? { ...record, good: false }
        : record,
    );
    expect(broken(records)).toEqual(['P2']);
  });

  it('P2: a target is of other samples', () => {
    const other = withAnswer('a', 1, (record) => [{ ...record, batch: base64(batchOf(7)) } as HistoryRecord]);
    expect(broken(other)).toEqual(['P2']);
  });

  it('P2: a peer at fault delays another beyond the deadline', () => {
    const fault: HistoryRecord = { at: 5, kind: 'fault', what: 'stopped', peer: 'c' };
    const late = withAnswer('a', 2, (record) => [{ ...record, at: 5_000 }]);
    expect(broken([fault, ...late])).toEqual(['P2']);
  });

  it.each([2, 3])('P3: a contribution counts twice, among %i teachers', (teachers) => {
    const logits = ['a', 'a', 'b', 'c'].map((peer) => logitsOf(FACTS, peer, 1));
    const all = targets('mean-probabilities', logits, { rows, classes, temperature: 2, includeSelf: false });
    const twice = history().map((record) => {
      const place = PEERS.findIndex((peer) => isAnswer(record, peer, 1));
      if (place < 0) return record;
      const data = base64(float32.encode(all[place + 1]!, rows, classes));
      return { ...record, data, teachers } as HistoryRecord;
    });
    expect(broken(twice)).toEqual(['P3']);
  });

  it('P3: a contribution is answered twice, or an answer comes for nothing', () => {
    expect(broken(withAnswer('a', 1, (record) => [record, record]))).toEqual(['P3']);
    const nothing = received(40, 'a', { type: 'noTarget', round: 9, reason: 'late' });
    expect(validate([...history(), nothing]).map(({ promise }) => promise)).toContain('P3');
  });

  it('P4: a round is answered after the next one', () => {
    const records = history();
    const [i, j] = [1, 2].map((round) => records.findIndex((record) => isAnswer(record, 'a', round)));
    const [first, second] = [records[i!]!, records[j!]!];
    records[i!] = { ...second, at: 35 };
    records[j!] = { ...first, at: 36 };
    expect(broken(records)).toContain('P4');
  });

  it('P4: a round is passed over without a word', () => {
    expect(broken(withAnswer('a', 1, () => []))).toEqual(['P4']);
  });

  it('P5: a target differs in one bit', () => {
    const changed = withAnswer('b', 2, (record) => {
      const bytes = Buffer.from((record as RecordOf<'received'>).data!, 'base64');
      bytes[4]! ^= 1;
      return [{ ...record, data: base64(bytes) } as HistoryRecord];
    });
    expect(broken(changed)).toEqual(['P5']);
  });

  it('P5: two targets of a round are of different sets', () => {
    const [toA] = answersTo(2, ['a', 'b'], 35);
    expect(broken(withAnswer('a', 2, () => [toA!]))).toEqual(['P5']);
  });

  it('P6: an answer is another one after a restart, or the run is', () => {
    const restart: HistoryRecord = { at: 60, kind: 'started', program: 'coordinator' };
    const again = sent(70, 'a', 1, { link: 9 });
    const same = withAnswer('a', 1, (record) => [record]).find((record) => isAnswer(record, 'a', 1))!;
    const answer = { ...same, at: 75, link: 9 } as HistoryRecord;
    expect(broken([...history(), restart, again, answer])).toEqual([]);
    const forgotten = received(75, 'a', { type: 'noTarget', round: 1, reason: 'noTeachers', link: 9 });
    expect(broken([...history(), restart, again, forgotten])).toContain('P6');
    const other = received(75, 'a', { type: 'welcome', run: 'run-2', name: 'a', link: 9 });
    expect(broken([...history(), restart, other])).toEqual(['P6']);
  });

  it('P7: a contribution is never answered', () => {
    // A coordinator that ends answers nothing any more.
    const unanswered = withAnswer('a', 2, () => []).filter(({ kind }) => kind !== 'exited');
    expect(broken([...unanswered, { at: 9_000, kind: 'fault', what: 'nothing' }])).toEqual(['P7']);
  });

  it('P8: a peer is given up before its lease has ended', () => {
    const [left, lost] = ['2025-01-01T00:00:00.000Z', '2025-01-01T00:00:02.000Z'];
    const events: HistoryRecord[] = [
      { at: 60, kind: 'event', event: 'left', peer: 'a', time: left },
      { at: 60, kind: 'event', event: 'lost', peer: 'a', time: lost, reason: 'away for 2 s' },
    ];
    expect(broken([...history(), ...events])).toEqual(['P8']);
  });

  it('P8: a peer comes back under another name', () => {
    const other = received(60, 'a', { type: 'welcome', run: 'run-1', name: 'a-2', link: 9 });
    expect(broken([...history(), other])).toEqual(['P8']);
  });

  const TRAFFIC = trafficOf(3 * PEERS.length);
  it.each<[string, Partial<RecordOf<'summary'>>]>([
    ['rounds', { committed: 2 }],
    ['misses', { missed: { noTeachers: 0, quorum: 0, late: 1, refused: 0 } }],
    ['frames', { traffic: { ...TRAFFIC, frames: { ...TRAFFIC.frames, accepted: 1 } } }],
    ['contributions', { traffic: { ...TRAFFIC, contributions: { ...TRAFFIC.contributions, open: -1 } } }],
    ['answers', { traffic: { ...TRAFFIC, answers: { ...TRAFFIC.answers, undelivered: 1 } } }],
  ])('P9: the summary counts other %s than came', (_, changes) => {
    const records = history().map((record) =>
      record.kind === 'summary' ? { ...record, ...changes } : record,
    );
    expect(broken(records)).toEqual(['P9']);
  });

  it('P9: a peer was told of a miss or a refusal that is not recorded', () => {
    const told = withAnswer('a', 2, () => [
      received(35, 'a', { type: 'noTarget', round: 2, reason: 'late' }),
    ]);
    expect(broken(told)).toEqual(['P9']);
    const refused: HistoryRecord = { at: 60, kind: 'closed', ...lifeOf('a'), code: 4007, reason: 'hello' };
    expect(broken([...history(), refused])).toEqual(['P9']);
  });
});
