import { describe, expect, it } from 'vitest';
import { waitingFor } from '../../coordinator/awaiting.ts';
import type { RoundEffect, Rounds } from '../../coordinator/roundState.ts';
import { contribute, tick } from '../../coordinator/rounds.ts';
import { answersOf, batchOf, payloadOf, roundsOf } from './support.ts';

function send(rounds: Rounds, peer: string, round: number): RoundEffect[] {
  const contribution = { peer, round, batch: batchOf(round), view: 'shared', payload: payloadOf() } as const;
  return contribute(rounds, contribution, 0);
}

describe('rounds', () => {
  it('stay sixteen for a peer that does not wait for its answers, and no more', () => {
    const rounds = roundsOf(['a', 'b', 'c'], { quorum: 'all' });
    for (let round = 0; round < 16; round++) expect(send(rounds, 'a', round)).toEqual([]);
    expect(send(rounds, 'a', 16)).toEqual([
      {
        ...{ type: 'noTarget', peer: 'a', round: 16, reason: 'refused' },
        detail: 'this peer has 16 rounds without an answer already',
      },
    ]);
    expect(rounds.open.size).toBe(16);
    // What it says again is no further round; and an answer makes room for one.
    expect(send(rounds, 'a', 1)).toEqual([{ type: 'repeated', peer: 'a', round: 1 }]);
    expect(answersOf([...send(rounds, 'b', 0), ...send(rounds, 'c', 0)])).toHaveLength(3);
    expect(answersOf(send(rounds, 'a', 17))).toEqual([]);
  });

  it('never wait for a peer in a round that it was refused in', () => {
    const rounds = roundsOf(['a', 'b'], { quorum: 'all' });
    for (let round = 0; round < 17; round++) send(rounds, 'a', round);
    send(rounds, 'b', 16);
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
