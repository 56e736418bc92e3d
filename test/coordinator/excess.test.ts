import { describe, expect, it } from 'vitest';
import type { RoundEffect, Rounds } from '../../coordinator/roundState.ts';
import { contribute, tick, waitingFor } from '../../coordinator/rounds.ts';
import { answersOf, batchOf, payloadOf, roundsOf } from './support.ts';

function send(rounds: Rounds, peer: string, round: number): RoundEffect[] {
  const contribution = { peer, round, batch: batchOf(round), view: 'shared', payload: payloadOf() } as const;
  return contribute(rounds, contribution, 0);
}

describe('rounds', () => {
  it('stay two for a peer that does not wait for its answers, and no more', () => {
    const rounds = roundsOf(['a', 'b', 'c'], { quorum: 'all' });
    expect(answersOf([...send(rounds, 'a', 0), ...send(rounds, 'a', 1)])).toEqual([]);
    expect(send(rounds, 'a', 2)).toEqual([
      {
        ...{ type: 'noTarget', peer: 'a', round: 2, reason: 'refused' },
        detail: 'this peer has 2 rounds without an answer already',
      },
    ]);
    expect([...rounds.open.keys()]).toEqual([0, 1]);
    // What it says again is no further round; and an answer makes room for one.
    expect(send(rounds, 'a', 1)).toEqual([{ type: 'repeated', peer: 'a', round: 1 }]);
    expect(answersOf([...send(rounds, 'b', 0), ...send(rounds, 'c', 0)])).toHaveLength(3);
    expect(answersOf(send(rounds, 'a', 3))).toEqual([]);
  });

  it('never wait for a peer in a round that it was refused in', () => {
    const rounds = roundsOf(['a', 'b'], { quorum: 'all' });
    for (const round of [0, 1, 2]) send(rounds, 'a', round);
    send(rounds, 'b', 2);
    expect(waitingFor(rounds)).toBeNull();
  });

  it('stay closed to a peer that is far ahead, which would leave the others behind', () => {
    const rounds = roundsOf(['a', 'b'], { firstRound: 5_000 });
    expect(answersOf(send(rounds, 'a', 5_000))).toEqual([]);
    const detail = 'round 6001 is more than 1000 ahead of the others, who are at round 5001';
    expect(send(rounds, 'b', 6_001)).toMatchObject([{ round: 6_001, reason: 'refused', detail }, {}]);
    expect(answersOf(tick(rounds, 1e6))).toEqual([]);
    expect(rounds.lastClosed).toBe(5_000);
    expect(answersOf(send(rounds, 'b', 6_000))).toEqual([]);
    expect([...rounds.open.keys()]).toEqual([6_000]);
  });
});
