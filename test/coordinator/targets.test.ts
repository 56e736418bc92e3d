import { describe, expect, it } from 'vitest';
import { type Contributed, type RecentRounds, targetsOf } from '../../coordinator/targets.ts';
import { generalWeights } from '../../src/ensemble/generalWeights.ts';
import { targets } from '../../src/ensemble/targets.ts';
import type { Wants } from '../../src/protocol/messages.ts';
import { encodingOf, payloadOf, roleOf, WANTS } from './support.ts';

const labelled = (...labels: number[]) => ({ labels: Uint16Array.from(labels) });

/** The targets of a round of one row of two classes, in which those that start with a "t" alone teach, if there are any. */
function targetsFor(
  contributions: readonly Contributed[],
  wants: Partial<Wants> = {},
  recent: RecentRounds = [],
  rows = 1,
) {
  const names = contributions.map(([peer]) => peer);
  const teachers = names.filter((name) => roleOf(name) === 'teacher');
  const roles = {
    teachers: new Set(teachers.length > 0 ? teachers : names),
    learners: new Set(names.filter((name) => roleOf(name) === 'student')),
    rows,
  };
  return targetsOf({ ...WANTS, ...wants }, contributions, roles, recent);
}

describe('the targets of students that teach each other', () => {
  it('are what the others predict', () => {
    const all: Contributed[] = [
      ['a', payloadOf([4, 1])],
      ['b', payloadOf([-2, 3])],
    ];
    expect(targetsFor(all)).toEqual([
      { peer: 'a', logits: Float32Array.of(-5, 0), encodings: [], apart: null, teachers: 1 },
      { peer: 'b', logits: Float32Array.of(0, -3), encodings: [], apart: null, teachers: 1 },
    ]);
  });

  it('are one for all where the students count themselves in', () => {
    const all: Contributed[] = [
      ['a', payloadOf([4, 1])],
      ['b', payloadOf([-2, 3])],
    ];
    const [a, b] = targetsFor(all, { ensemble: 'mean-logits', includesSelf: true });
    expect(a!.logits).toEqual(Float32Array.of(-1, 0));
    expect(b!.logits).toEqual(a!.logits);
  });

  it('hold the features of the other one, and never the own ones', () => {
    const [ofA, ofB] = [encodingOf([1, 2]), encodingOf([3, 4])];
    const all: Contributed[] = [
      ['a', payloadOf(null, { encodings: [ofA] })],
      ['b', payloadOf(null, { encodings: [ofB] })],
    ];
    expect(
      targetsFor(all, { logits: false }).map(({ peer, logits, encodings }) => [peer, logits, encodings]),
    ).toEqual([
      ['a', null, [ofB]],
      ['b', null, [ofA]],
    ]);
  });

  it('hold each of the others by itself where they are not to become one', () => {
    const payloads = ['a', 'b', 'c'].map((_, i) => payloadOf([i, 0], { encodings: [encodingOf([i])] }));
    const all = payloads.map((payload, i) => [['a', 'b', 'c'][i]!, payload] as const);
    const [, b] = targetsFor(all, { ensemble: 'apart' });
    expect(b).toEqual({
      ...{ peer: 'b', logits: null, encodings: [], teachers: 2 },
      apart: [payloads[0], payloads[2]],
    });
  });
});

describe('the targets of students with teachers', () => {
  it('of one are what it predicts, for every student', () => {
    const encodings = [encodingOf([5, 6, 7])];
    const all: Contributed[] = [
      ['a', payloadOf(null)],
      ['b', payloadOf(null)],
      ['t', payloadOf([1, -1], { encodings })],
    ];
    const logits = Float32Array.of(0, -2);
    expect(targetsFor(all)).toEqual([
      { peer: 'a', logits, encodings, apart: null, teachers: 1 },
      { peer: 'b', logits, encodings, apart: null, teachers: 1 },
    ]);
  });

  it('of several are made of all of them, whether or not students count themselves in', () => {
    const tensors = [Float32Array.of(2, 0), Float32Array.of(0, 4)];
    const all: Contributed[] = [
      ['a', payloadOf(null)],
      ['t1', payloadOf([2, 0])],
      ['t2', payloadOf([0, 4])],
    ];
    const given = { rows: 1, classes: 2, temperature: 2, includeSelf: true };
    for (const includesSelf of [true, false]) {
      const [target] = targetsFor(all, { includesSelf });
      expect(target!.logits).toEqual(targets('mean-probabilities', tensors, given)[0]);
      expect(target!.teachers).toBe(2);
    }
  });

  it('take the true classes from a student that told them', () => {
    const all: Contributed[] = [
      ['a', payloadOf(null, labelled(1))],
      ['b', payloadOf(null, labelled(1))],
      ['t1', payloadOf([5, 0])],
      ['t2', payloadOf([1, 0])],
    ];
    // The best teacher is the one that is least wrong.
    expect(targetsFor(all, { ensemble: 'best' }).map(({ logits }) => logits)).toEqual([
      Float32Array.of(0, -1),
      Float32Array.of(0, -1),
    ]);
  });
});

describe('the weighted ensemble', () => {
  const round = (first: number[], second: number[], ...labels: number[]): Contributed[] => [
    ['a', payloadOf(null, labelled(...labels))],
    ['t1', payloadOf(first)],
    ['t2', payloadOf(second)],
  ];

  it('weights teachers alike at first, then by their errors in the rounds before', () => {
    const recent: RecentRounds = [];
    const wants = { ensemble: 'weighted' as const };
    const [first, second] = [
      [3, 0, 0, 3],
      [0, 1, 0, 0],
    ];
    const [before] = targetsFor(round(first, second, 0, 1), wants, recent, 2);
    expect(recent).toHaveLength(1);
    const alike = targets('weighted', [Float32Array.from(first), Float32Array.from(second)], {
      ...{ rows: 2, classes: 2, temperature: 2, includeSelf: true },
    });
    expect(before!.logits).toEqual(alike[0]);

    const [after] = targetsFor(round(first, second, 1, 0), wants, recent, 2);
    const weights = generalWeights([Float32Array.from(first), Float32Array.from(second)], [0, 1], 2, 2);
    const expected = targets('weighted', [Float32Array.from(first), Float32Array.from(second)], {
      ...{ rows: 2, classes: 2, temperature: 2, includeSelf: true, weights },
    });
    expect(after!.logits).toEqual(expected[0]);
    expect(after!.logits).not.toEqual(before!.logits);
  });

  it('remembers sixteen rounds, and uses those of the same teachers', () => {
    const recent: RecentRounds = [];
    const wants = { ensemble: 'weighted' as const };
    for (let i = 0; i < 20; i++) targetsFor(round([i, 0], [0, 1], 0), wants, recent);
    expect(recent).toHaveLength(16);
    const others: Contributed[] = [
      ['a', payloadOf(null, labelled(0))],
      ['t1', payloadOf([3, 0])],
      ['t3', payloadOf([0, 1])],
    ];
    expect(targetsFor(others, wants, recent)[0]!.logits).toEqual(Float32Array.of(0, -1));
  });
});
