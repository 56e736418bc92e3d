import { describe, expect, it } from 'vitest';
import { nextDeadlineMs, waitingFor } from '../../coordinator/awaiting.ts';
import type { RoundEffect, Rounds } from '../../coordinator/roundState.ts';
import { contribute, heard, leave, reject, tick } from '../../coordinator/rounds.ts';
import { answersOf, batchOf, enter, payloadOf, roundsOf } from './support.ts';

function send(rounds: Rounds, peer: string, round: number, nowMs = 0): RoundEffect[] {
  const payload = payloadOf(peer.startsWith('t') ? [0, 1] : null);
  const rows = { batch: batchOf(round), view: 'shared' as const, payload };
  return contribute(rounds, { peer, round, ...rows }, nowMs);
}

/** Takes every one of `peers` through the rounds up to `last`. */
function play(rounds: Rounds, peers: readonly string[], last: number): void {
  for (let round = 0; round <= last; round++) for (const peer of peers) send(rounds, peer, round);
}

describe('a round with teachers', () => {
  it('teaches the students, and lets the teachers go on', () => {
    const rounds = roundsOf(['a', 'b', 't1', 't2']);
    for (const peer of ['t2', 'b', 't1']) expect(send(rounds, peer, 0)).toEqual([]);
    expect(send(rounds, 'a', 0)).toEqual([
      {
        ...{ type: 'commit', round: 0, batch: batchOf(0), view: 'shared' },
        contributions: [
          ['a', payloadOf(null)],
          ['b', payloadOf(null)],
          ['t1', payloadOf()],
          ['t2', payloadOf()],
        ],
        teachers: new Set(['t1', 't2']),
        learners: new Set(['a', 'b']),
        absent: new Set(),
      },
      { type: 'advance', peer: 't1', round: 0 },
      { type: 'advance', peer: 't2', round: 0 },
    ]);
  });

  it('refuses what a teacher says of other samples, and goes on without it', () => {
    const rounds = roundsOf(['a', 'b', 't']);
    send(rounds, 'a', 0);
    const other = { batch: batchOf(9), view: 'shared' as const, payload: payloadOf() };
    expect(answersOf(contribute(rounds, { peer: 't', round: 0, ...other }, 0))).toEqual(['t 0 refused']);
    expect(answersOf(send(rounds, 'b', 0))).toEqual(['a 0 noTeachers', 'b 0 noTeachers']);
  });

  it('goes on without what a teacher said that was rejected, and waits for it in the next one', () => {
    const rounds = roundsOf(['a', 't']);
    send(rounds, 'a', 0);
    expect(answersOf(reject(rounds, 't', 0, 'not finite'))).toEqual(['t 0 refused', 'a 0 noTeachers']);
    send(rounds, 'a', 1);
    expect(waitingFor(rounds)?.peers).toEqual(['t']);
    expect(answersOf(send(rounds, 't', 1))).toEqual(['a 1 target', 't 1 advance']);
  });

  it('has a target for each student that came in time, at its own speed', () => {
    const rounds = roundsOf(['fast', 'slow', 't']);
    send(rounds, 't', 0);
    send(rounds, 'fast', 0, 10);
    expect(answersOf(tick(rounds, 110))).toEqual(['fast 0 target', 't 0 advance']);
    expect(send(rounds, 'slow', 0, 120)).toMatchObject([{ reason: 'late', nextRound: 1 }]);
    for (const peer of ['slow', 't']) expect(send(rounds, peer, 1, 120)).toEqual([]);
    expect(answersOf(send(rounds, 'fast', 1, 130))).toEqual([
      'fast 1 target',
      'slow 1 target',
      't 1 advance',
    ]);
  });
});

describe('the quorum with teachers', () => {
  it('counts the teachers, not the other students', () => {
    const rounds = roundsOf(['a', 'b', 't1', 't2'], { quorum: 2 });
    play(rounds, ['a', 'b', 't1'], 0);
    expect(answersOf(tick(rounds, 100))).toEqual(['a 0 quorum', 'b 0 quorum', 't1 0 advance']);
    for (const peer of ['a', 't1', 'b']) send(rounds, peer, 1, 100);
    // The other one is late, and told where to go on.
    expect(answersOf(send(rounds, 't2', 0, 110))).toEqual(['t2 0 advance']);
    expect(answersOf(tick(rounds, 200))).toEqual([]);
    expect(waitingFor(rounds)).toBeNull();
  });

  it('of one teacher is met though there is one student', () => {
    const rounds = roundsOf(['a', 't']);
    send(rounds, 't', 0);
    expect(answersOf(send(rounds, 'a', 0))).toEqual(['a 0 target', 't 0 advance']);
  });

  it('"all" waits for a teacher without a deadline, until it has come, or gone for good', () => {
    const rounds = roundsOf(['a', 't'], { quorum: 'all' });
    send(rounds, 'a', 0);
    expect(nextDeadlineMs(rounds)).toBeNull();
    expect(tick(rounds, 1e9)).toEqual([]);
    expect(leave(rounds, 't', 'away')).toEqual([]);
    expect(answersOf(leave(rounds, 't', 'finished'))).toEqual(['a 0 noTeachers']);
  });
});

describe('a teacher that is early', () => {
  it('starts no clock: the time of the others runs from the first student', () => {
    const rounds = roundsOf(['a', 'b', 't']);
    send(rounds, 't', 0, 0);
    expect(nextDeadlineMs(rounds)).toBeNull();
    expect(waitingFor(rounds)).toBeNull();
    expect(tick(rounds, 1e6)).toEqual([]);
    send(rounds, 'a', 0, 1e6);
    expect(nextDeadlineMs(rounds)).toBe(1e6 + 100);
    expect(waitingFor(rounds)).toEqual({ round: 0, peers: ['b'], sinceMs: 1e6 });
    expect(answersOf(tick(rounds, 1e6 + 100))).toEqual(['a 0 target', 't 0 advance']);
  });

  it('waits for a student that is away, and does not run through the batches without it', () => {
    const rounds = roundsOf(['a', 't']);
    play(rounds, ['a', 't'], 4);
    leave(rounds, 'a', 'away');
    expect(send(rounds, 't', 5)).toEqual([]);
    expect(tick(rounds, 1e9)).toEqual([]);
    enter(rounds, 'a', 1e9, ['a', 't']);
    expect(answersOf(send(rounds, 'a', 5, 1e9))).toEqual(['a 5 target', 't 5 advance']);
  });

  it('waits for a student that has missed a deadline', () => {
    const rounds = roundsOf(['a', 'b', 't']);
    play(rounds, ['a', 'b', 't'], 2);
    send(rounds, 't', 3, 10);
    send(rounds, 'b', 3, 10);
    // Nobody waits for the first one any more, and the second one is done.
    expect(answersOf(tick(rounds, 200))).toEqual(['b 3 target', 't 3 advance']);
    leave(rounds, 'b', 'finished');
    expect(send(rounds, 't', 4, 200)).toEqual([]);
    expect(send(rounds, 'a', 3, 300)).toMatchObject([{ reason: 'late', nextRound: 4 }]);
    expect(answersOf(send(rounds, 'a', 4, 300))).toEqual(['a 4 target', 't 4 advance']);
  });

  it('goes to where the student is that trained on by itself while it was away', () => {
    const rounds = roundsOf(['a', 't']);
    play(rounds, ['a', 't'], 4);
    leave(rounds, 'a', 'away');
    send(rounds, 't', 5);
    enter(rounds, 'a', 50, ['a', 't']);
    expect(send(rounds, 'a', 9, 50)).toEqual([
      { type: 'advance', peer: 't', round: 5, unused: 'noStudents', nextRound: 9 },
    ]);
    expect(waitingFor(rounds)).toMatchObject({ round: 9, peers: ['t'] });
    expect(answersOf(send(rounds, 't', 9, 60))).toEqual(['a 9 target', 't 9 advance']);
  });

  it('goes on with the students that are there, and makes nobody wait in between', () => {
    const rounds = roundsOf(['a', 'b', 't']);
    play(rounds, ['a', 'b', 't'], 4);
    for (const peer of ['a', 'b']) leave(rounds, peer, 'away');
    send(rounds, 't', 5);
    for (const peer of ['a', 'b']) enter(rounds, peer, 50, ['a', 'b', 't']);
    expect(send(rounds, 'a', 9, 50)).toEqual([
      { type: 'advance', peer: 't', round: 5, unused: 'noStudents', nextRound: 9 },
    ]);
    expect(answersOf(send(rounds, 'b', 6, 50))).toEqual(['b 6 noTeachers']);
    send(rounds, 't', 9, 60);
    expect(answersOf(leave(rounds, 'b', 'away'))).toEqual(['a 9 target', 't 9 advance']);
  });

  it('is let go when no student can come any more', () => {
    const rounds = roundsOf(['a', 'b', 't']);
    send(rounds, 't', 0);
    expect(leave(rounds, 'a', 'finished')).toEqual([]);
    expect(answersOf(leave(rounds, 'b', 'finished'))).toEqual(['t 0 advance']);
  });

  it('is let go when the only student of the round was refused', () => {
    const rounds = roundsOf(['a', 't']);
    send(rounds, 't', 0);
    expect(answersOf(reject(rounds, 'a', 0, 'not finite'))).toEqual(['a 0 refused', 't 0 advance']);
  });
});

describe('a teacher that is late or away', () => {
  it('costs the students one wait, and is told where they are', () => {
    const rounds = roundsOf(['a', 'b', 't']);
    play(rounds, ['a', 'b'], 0);
    expect(answersOf(tick(rounds, 100))).toEqual(['a 0 noTeachers', 'b 0 noTeachers']);
    // From now on they do not wait for it.
    send(rounds, 'a', 1, 100);
    expect(answersOf(send(rounds, 'b', 1, 100))).toEqual(['a 1 noTeachers', 'b 1 noTeachers']);
    send(rounds, 'a', 2, 110);
    expect(send(rounds, 't', 0, 120)).toEqual([
      { type: 'advance', peer: 't', round: 0, unused: 'late', nextRound: 2 },
    ]);
    expect(answersOf(send(rounds, 'b', 2, 130))).toEqual([]);
    expect(answersOf(send(rounds, 't', 2, 140))).toEqual(['a 2 target', 'b 2 target', 't 2 advance']);
  });

  it('is not taken to have missed what it could not know of while it evaluates', () => {
    const rounds = roundsOf(['a', 't']);
    heard(rounds, 't', true, 90);
    send(rounds, 'a', 0, 95);
    expect(tick(rounds, 189)).toEqual([]);
    heard(rounds, 't', true, 190);
    expect(tick(rounds, 289)).toEqual([]);
    expect(answersOf(send(rounds, 't', 0, 289))).toEqual(['a 0 target', 't 0 advance']);
  });

  it('leaves the students to the labels when it is gone, without a wait', () => {
    const rounds = roundsOf(['a', 'b', 't']);
    send(rounds, 'a', 0);
    send(rounds, 'b', 0);
    expect(answersOf(leave(rounds, 't', 'away'))).toEqual(['a 0 noTeachers', 'b 0 noTeachers']);
    send(rounds, 'a', 1);
    expect(answersOf(send(rounds, 'b', 1))).toEqual(['a 1 noTeachers', 'b 1 noTeachers']);
  });

  it('teaches again when it is back, and is answered once though it says a batch twice', () => {
    const rounds = roundsOf(['a', 't']);
    send(rounds, 't', 0);
    leave(rounds, 't', 'away');
    enter(rounds, 't', 10, ['a', 't']);
    expect(send(rounds, 't', 0, 10)).toEqual([{ type: 'repeated', peer: 't', round: 0 }]);
    expect(answersOf(send(rounds, 'a', 0, 20))).toEqual(['a 0 target', 't 0 advance']);
  });
});
