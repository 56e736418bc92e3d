import { describe, expect, it } from 'vitest';
import { nextDeadlineMs, waitingFor } from '../../coordinator/awaiting.ts';
import type { RoundEffect, Rounds } from '../../coordinator/roundState.ts';
import { contribute, heard, leave, recalls, reject, tick } from '../../coordinator/rounds.ts';
import { leaveOneOut } from '../../src/ensemble/meanProbabilities.ts';
import { createRandom, type Random } from '../../src/random.ts';
import { answersOf, batchOf, enter, payloadOf, roundsOf } from './support.ts';

function send(rounds: Rounds, peer: string, round: number, nowMs = 0, logits = [0, 1]): RoundEffect[] {
  const rows = { batch: batchOf(round), view: 'shared' as const };
  return contribute(rounds, { peer, round, ...rows, payload: payloadOf(logits) }, nowMs);
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const result = [...items];
  for (let i = result.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [result[i], result[j]] = [result[j]!, result[i]!];
  }
  return result;
}

describe('a round', () => {
  it('waits for every student, then answers all of them in the order of names', () => {
    const rounds = roundsOf(['b', 'a', 'c']);
    expect(send(rounds, 'c', 0, 0, [1, 2])).toEqual([]);
    expect(waitingFor(rounds)).toEqual({ round: 0, peers: ['b', 'a'], sinceMs: 0 });
    expect(send(rounds, 'a', 0, 0, [3, 4])).toEqual([]);
    expect(send(rounds, 'b', 0, 0, [5, 6])).toEqual([
      {
        ...{ type: 'commit', round: 0, batch: batchOf(0), view: 'shared' },
        contributions: [
          ['a', payloadOf([3, 4])],
          ['b', payloadOf([5, 6])],
          ['c', payloadOf([1, 2])],
        ],
        teachers: new Set(['a', 'b', 'c']),
        learners: new Set(['a', 'b', 'c']),
        absent: new Set(),
      },
    ]);
    expect(waitingFor(rounds)).toBeNull();
  });

  it('makes targets that depend on what was accepted, not on the order of arrival', () => {
    const names = ['a', 'b', 'c', 'd', 'e'];
    const random = createRandom('arrival');
    const logits = new Map(names.map((name) => [name, [0, 0, 0].map(() => 3 * random.normal())]));
    const outcomes = Array.from({ length: 100 }, () => {
      const rounds = roundsOf(shuffled(names, random));
      const effects = shuffled(names, random).flatMap((name) => send(rounds, name, 0, 0, logits.get(name)));
      const [commit] = effects;
      if (effects.length !== 1 || commit?.type !== 'commit') throw new Error('expected one commit');
      const tensors = commit.contributions.map(([, payload]) => payload.logits!);
      return { commit, targets: leaveOneOut(tensors, 1, 3, 2) };
    });
    for (const outcome of outcomes) expect(outcome).toEqual(outcomes[0]);
  });

  it('opens for later batches while an earlier one is open', () => {
    const rounds = roundsOf(['a', 'b']);
    expect(send(rounds, 'a', 0)).toEqual([]);
    expect(send(rounds, 'a', 1)).toEqual([]);
    expect(answersOf(send(rounds, 'b', 1))).toEqual(['a 0 noTeachers', 'a 1 target', 'b 1 target']);
  });

  it('counts the first contribution of a student, and answers a repeated one once', () => {
    const rounds = roundsOf(['a', 'b']);
    send(rounds, 'a', 0, 0, [1, 2]);
    expect(send(rounds, 'a', 0, 0, [7, 8])).toEqual([{ type: 'repeated', peer: 'a', round: 0 }]);
    const effects = send(rounds, 'b', 0);
    expect(answersOf(effects)).toEqual(['a 0 target', 'b 0 target']);
    expect(effects[0]).toMatchObject({ contributions: [['a', payloadOf([1, 2])], expect.anything()] });
  });

  it('refuses rows of other samples or another view, and does not wait for their sender', () => {
    const rounds = roundsOf(['a', 'b', 'c']);
    const rows = { round: 0, batch: batchOf(0), view: 'shared' as const, payload: payloadOf() };
    contribute(rounds, { peer: 'a', ...rows }, 0);
    expect(answersOf(contribute(rounds, { peer: 'b', ...rows, batch: batchOf(9) }, 0))).toEqual([
      'b 0 refused',
    ]);
    expect(answersOf(contribute(rounds, { peer: 'c', ...rows, view: 'own' }, 0))).toEqual([
      'c 0 refused',
      'a 0 noTeachers',
    ]);
  });

  it('goes on without a student whose logits were rejected', () => {
    const rounds = roundsOf(['a', 'b', 'c']);
    send(rounds, 'a', 0);
    expect(reject(rounds, 'b', 0, 'not finite')).toEqual([
      { type: 'noTarget', peer: 'b', round: 0, reason: 'refused', detail: 'not finite' },
    ]);
    expect(answersOf(send(rounds, 'c', 0))).toEqual(['a 0 target', 'c 0 target']);
    send(rounds, 'a', 1);
    expect(waitingFor(rounds)?.peers).toEqual(['b', 'c']);
  });

  it('has no place for a student that never joined', () => {
    expect(() => send(roundsOf(['a']), 'stranger', 0)).toThrow('internal: logits from "stranger"');
    expect(leave(roundsOf(['a']), 'stranger', 'finished')).toEqual([]);
  });
});

describe('the quorum', () => {
  it('turns a round with too few teachers into one without a target', () => {
    const rounds = roundsOf(['a', 'b', 'c'], { quorum: 2 });
    send(rounds, 'a', 0);
    send(rounds, 'b', 0);
    const effects = leave(rounds, 'c', 'away');
    expect(answersOf(effects)).toEqual(['a 0 quorum', 'b 0 quorum']);
    expect(effects).toContainEqual(expect.objectContaining({ detail: '1 teachers, the quorum is 2' }));
    // Of the one that left, both are teachers, and it may be back.
    expect(effects).toContainEqual(expect.objectContaining({ type: 'commit', absent: new Set(['c']) }));
  });

  it('is met by as many teachers as it asks for', () => {
    const rounds = roundsOf(['a', 'b', 'c', 'd'], { quorum: 2 });
    for (const peer of ['a', 'b', 'c']) send(rounds, peer, 0);
    expect(answersOf(tick(rounds, 100))).toEqual(['a 0 target', 'b 0 target', 'c 0 target']);
  });

  it('says that nobody else came when a student is alone', () => {
    expect(answersOf(send(roundsOf(['a'], { quorum: 2 }), 'a', 0))).toEqual(['a 0 noTeachers']);
  });

  it('"all" has no deadline, and waits until the student has come, or gone for good', () => {
    const rounds = roundsOf(['a', 'b', 'c'], { quorum: 'all' });
    send(rounds, 'a', 0);
    send(rounds, 'b', 0);
    expect(nextDeadlineMs(rounds)).toBeNull();
    expect(tick(rounds, 1e9)).toEqual([]);
    expect(leave(rounds, 'c', 'away')).toEqual([]);
    expect(tick(rounds, 2e9)).toEqual([]);
    expect(waitingFor(rounds)?.peers).toEqual(['c']);
    expect(answersOf(leave(rounds, 'c', 'finished'))).toEqual(['a 0 target', 'b 0 target']);
  });
});

describe('the deadline', () => {
  it('counts from the opening of the round, and closes it to the millisecond', () => {
    const rounds = roundsOf(['a', 'b']);
    expect(nextDeadlineMs(rounds)).toBeNull();
    send(rounds, 'a', 0, 50);
    expect(nextDeadlineMs(rounds)).toBe(150);
    expect(tick(rounds, 149)).toEqual([]);
    expect(answersOf(tick(rounds, 150))).toEqual(['a 0 noTeachers']);
    expect(nextDeadlineMs(rounds)).toBeNull();
  });

  it('tells a late student the round that the others are at, and accepts it there', () => {
    const rounds = roundsOf(['a', 'b', 'c']);
    for (const round of [0, 1, 2]) {
      send(rounds, 'a', round);
      send(rounds, 'b', round);
      expect(answersOf(tick(rounds, 100))).toEqual(round === 0 ? ['a 0 target', 'b 0 target'] : []);
    }
    expect(send(rounds, 'c', 0, 100)).toEqual([
      {
        ...{ type: 'noTarget', peer: 'c', round: 0, reason: 'late', nextRound: 3 },
        detail: 'round 0 is closed; the others are at round 3',
      },
    ]);
    send(rounds, 'a', 3, 100);
    send(rounds, 'b', 3, 100);
    expect(waitingFor(rounds)?.peers).toEqual(['c']);
    expect(answersOf(send(rounds, 'c', 3, 100))).toEqual(['a 3 target', 'b 3 target', 'c 3 target']);
  });

  it('sends a late student to the first round that is open, where the others have use for it', () => {
    const rounds = roundsOf(['a', 'b', 'c', 'd']);
    for (const peer of ['a', 'b', 'd']) send(rounds, peer, 0);
    tick(rounds, 100);
    send(rounds, 'a', 1, 100);
    send(rounds, 'd', 3, 100);
    expect(send(rounds, 'c', 0, 100)).toMatchObject([{ reason: 'late', nextRound: 1 }]);
    expect(waitingFor(rounds)).toMatchObject({ round: 1, peers: ['b', 'c'] });
    send(rounds, 'c', 1, 100);
    expect(answersOf(send(rounds, 'b', 1, 100))).toEqual(['a 1 target', 'b 1 target', 'c 1 target']);
    expect(waitingFor(rounds)).toMatchObject({ round: 3, peers: ['a', 'b', 'c'] });
  });

  it('makes nobody wait for a student that has missed it three times, until it is on time', () => {
    const rounds = roundsOf(['a', 'b']);
    for (let missed = 1; missed <= 3; missed++) {
      const now = missed * 1000;
      const round = missed - 1;
      send(rounds, 'a', round, now);
      tick(rounds, now + 100);
      send(rounds, 'b', round, now + 200);
    }
    expect(answersOf(send(rounds, 'a', 3, 5000))).toEqual(['a 3 noTeachers']);
    // On time by itself: it is ahead of the other one.
    expect(send(rounds, 'b', 4, 5000)).toEqual([]);
    expect(answersOf(send(rounds, 'a', 4, 5000))).toEqual(['a 4 target', 'b 4 target']);
    send(rounds, 'a', 5, 5000);
    expect(answersOf(send(rounds, 'b', 5, 5000))).toEqual(['a 5 target', 'b 5 target']);
    // Being on time has made up for some of it: one more miss, and it is awaited where it is sent to.
    send(rounds, 'a', 6, 6000);
    tick(rounds, 6100);
    expect(send(rounds, 'b', 6, 6200)).toMatchObject([{ reason: 'late', nextRound: 7 }]);
    send(rounds, 'a', 7, 6200);
    expect(waitingFor(rounds)?.peers).toEqual(['b']);
  });

  it('does not take the silence of a burn-in for a miss', () => {
    const rounds = roundsOf(['a', 'b']);
    send(rounds, 'a', 7);
    // Progress of training, but no logits yet.
    heard(rounds, 'b', false, 90);
    expect(tick(rounds, 100)).toEqual([]);
    expect(nextDeadlineMs(rounds)).toBe(190);
    expect(answersOf(send(rounds, 'b', 7, 180))).toEqual(['a 7 target', 'b 7 target']);
  });

  it('does not take the silence of an evaluation for a miss, nor the moment after it', () => {
    const rounds = roundsOf(['a', 'b']);
    send(rounds, 'a', 0);
    send(rounds, 'b', 0);
    heard(rounds, 'b', true, 10);
    send(rounds, 'a', 1, 20);
    for (const now of [100, 190, 280]) {
      heard(rounds, 'b', true, now);
      expect(tick(rounds, now + 90)).toEqual([]);
    }
    // Back at training, it has its time for the batch that the other has sent long ago.
    heard(rounds, 'b', false, 300);
    expect(tick(rounds, 399)).toEqual([]);
    expect(answersOf(tick(rounds, 400))).toEqual(['a 1 noTeachers']);
  });

  it('is not put off by signs of life of a student that is to exchange', () => {
    const rounds = roundsOf(['a', 'b']);
    send(rounds, 'a', 0);
    send(rounds, 'b', 0);
    send(rounds, 'a', 1, 20);
    heard(rounds, 'b', false, 110);
    expect(answersOf(tick(rounds, 120))).toEqual(['a 1 noTeachers']);
  });
});

describe('a student that leaves', () => {
  it('does not stop the others', () => {
    const rounds = roundsOf(['a', 'b', 'c']);
    send(rounds, 'a', 0);
    send(rounds, 'b', 0);
    expect(answersOf(leave(rounds, 'c', 'away'))).toEqual(['a 0 target', 'b 0 target']);
    send(rounds, 'a', 1);
    expect(answersOf(send(rounds, 'b', 1))).toEqual(['a 1 target', 'b 1 target']);
  });

  it('leaves behind what it has sent', () => {
    const rounds = roundsOf(['a', 'b']);
    send(rounds, 'a', 0);
    leave(rounds, 'a', 'away');
    expect(answersOf(send(rounds, 'b', 0))).toEqual(['a 0 target', 'b 0 target']);
  });

  it('is awaited again when it is back, for the whole time', () => {
    const rounds = roundsOf(['a', 'b', 'c']);
    for (const peer of ['a', 'b', 'c']) send(rounds, peer, 0);
    leave(rounds, 'b', 'away');
    send(rounds, 'a', 1, 10);
    enter(rounds, 'b', 90);
    expect(answersOf(tick(rounds, 189))).toEqual([]);
    expect(waitingFor(rounds)?.peers).toEqual(['b']);
    expect(answersOf(send(rounds, 'b', 1, 189))).toEqual(['a 1 target', 'b 1 target']);
  });

  it('is awaited again when it comes back after it had left for good', () => {
    const rounds = roundsOf(['a', 'b']);
    leave(rounds, 'b', 'finished');
    expect(answersOf(send(rounds, 'a', 0))).toEqual(['a 0 noTeachers']);
    enter(rounds, 'b', 0, ['b'], 1);
    send(rounds, 'a', 1);
    expect(waitingFor(rounds)?.peers).toEqual(['b']);
  });

  it('may be replaced under way by one that is awaited once it has caught up', () => {
    const rounds = roundsOf(['a', 'b']);
    for (const round of [0, 1]) for (const peer of ['a', 'b']) send(rounds, peer, round);
    enter(rounds, 'c', 0);
    send(rounds, 'a', 2);
    expect(waitingFor(rounds)?.peers).toEqual(['b']);
    expect(send(rounds, 'c', 0)).toMatchObject([{ reason: 'late', nextRound: 2 }]);
    expect(waitingFor(rounds)?.peers).toEqual(['b', 'c']);
  });
});

describe('a student that comes back behind', () => {
  /** The first of its rounds that it cannot have again, when the others go on `pace` rounds with each of them. */
  function sentAhead(pace: number): number {
    const rounds = roundsOf(['a', 'b']);
    for (let round = 0; round < 200; round++) for (const peer of ['a', 'b']) send(rounds, peer, round);
    leave(rounds, 'b', 'away');
    for (let round = 200; round < 300; round++) send(rounds, 'a', round);
    enter(rounds, 'b', 0, ['a', 'b'], 150);
    let round = 150;
    for (let others = 300; round <= rounds.lastClosed && recalls(rounds, 'b', round); round++) {
      for (others += pace; rounds.lastClosed + 1 < Math.floor(others); )
        send(rounds, 'a', rounds.lastClosed + 1);
    }
    return round;
  }

  it('takes all of its rounds again while it comes nearer to the others, and a few when it never would', () => {
    expect(sentAhead(0)).toBe(300);
    expect(sentAhead(0.5)).toBeGreaterThan(400);
    expect(sentAhead(1)).toBe(170);
    expect(sentAhead(2)).toBe(170);
  });
});
