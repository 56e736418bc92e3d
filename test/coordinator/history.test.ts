import { describe, expect, it } from 'vitest';
import { contribute, heard, join, leave, type RoundEffect, tick } from '../../coordinator/rounds.ts';
import { advance, disconnected, hello, receive } from '../../coordinator/run.ts';
import type { Run, RunEffect } from '../../coordinator/runState.ts';
import { statusOf } from '../../coordinator/status.ts';
import { summarise } from '../../coordinator/summary.ts';
import type { PeerMessage } from '../../src/protocol/messages.ts';
import { createRandom } from '../../src/random.ts';
import {
  answersOf,
  batchOf,
  closesOf,
  doneAt,
  emptyRun,
  helloOf,
  logitsOf,
  predictionsOf,
  progressAt,
  readyWith,
  roundsOf,
  settingsWith,
  startedRun,
} from './support.ts';

describe('rounds with any history', () => {
  it('answers every contribution exactly once, and leaves no round open behind', () => {
    for (let seed = 0; seed < 300; seed++) {
      const random = createRandom('history', seed);
      const quorum = ([1, 2, 'all'] as const)[random.below(3)]!;
      const names = ['a', 'b', 'c', 'd'].slice(0, 1 + random.below(4));
      const rounds = roundsOf(names, { quorum });
      const sent = new Set<string>();
      const effects: RoundEffect[] = [];
      for (let now = 0; now < 600; now += 1 + random.below(60)) {
        const peer = names[random.below(names.length)]!;
        const round = Math.max(0, rounds.lastClosed + random.below(4) - 1);
        const action = random.below(10);
        if (action === 0) effects.push(...leave(rounds, peer, false));
        else if (action === 1) join(rounds, peer, now);
        else if (action === 2) heard(rounds, peer, random.below(2) === 0, now);
        else if (action === 3) effects.push(...tick(rounds, now));
        else if (!sent.has(`${peer} ${round}`)) {
          sent.add(`${peer} ${round}`);
          const rows = { batch: batchOf(random.below(8) === 0 ? 99 : round), view: 'shared' as const };
          const logits = Float32Array.of(0);
          effects.push(...contribute(rounds, { peer, round, ...rows, logits }, now));
        }
      }
      for (const peer of names) effects.push(...leave(rounds, peer, true));
      const answered = answersOf(effects).map((answer) => answer.split(' ').slice(0, 2).join(' '));
      expect(answered.toSorted(), `seed ${seed}`).toEqual([...sent].toSorted());
      expect(rounds.open.size, `seed ${seed}`).toBe(0);
    }
  });
});

describe('a run with any history', () => {
  const settings = ([1, 2, 'all'] as const).map((quorum) => settingsWith({ quorum }));

  /** What a server does: no message of a connection that was closed, and one notice of its end. */
  function playHistory(seed: number): Run {
    const random = createRandom('run history', seed);
    const names = ['a', 'b', 'c'].slice(0, 1 + random.below(3));
    const pick = <T>(items: readonly T[]): T => items[random.below(items.length)]!;
    const run = pick([emptyRun, startedRun])(names, pick(settings));
    const peers = new Map([...run.connections].map(([name, connection]) => [connection, name]));
    const follow = (effects: readonly RunEffect[], now: number): void => {
      for (const effect of effects) if (effect.type === 'attach') peers.set(effect.connection, effect.peer);
      for (const [connection, , reason] of closesOf(effects)) drop(connection, reason, now);
    };
    const drop = (connection: number, reason: string, now: number): void => {
      const peer = peers.get(connection);
      peers.delete(connection);
      if (peer !== undefined) follow(disconnected(run, peer, connection, reason, now), now);
    };
    const round = (): number => Math.max(0, run.rounds.lastClosed + random.below(3));
    const usual = [readyWith, () => progressAt(1), () => logitsOf(round()), () => logitsOf(round())];
    const wide = { shape: [1, 3] as [number, number], data: new Uint8Array(12) };
    const rare: readonly (() => PeerMessage)[] = [
      () => logitsOf(round(), [NaN, 0]),
      () => logitsOf(round(), [1, 2, 3]),
      () => helloOf('a'),
      () => readyWith({ classes: 3 }),
      () => readyWith({ testSize: 3 }),
      () => progressAt(2, { phase: 'evaluating' }),
      () => predictionsOf([0, 1, 1, 0], [0, 1], pick([0, 2, 3])),
      () => ({ ...predictionsOf([0, 1], [0]), ...wide }),
      () => doneAt(9),
    ];
    let now = 0;
    for (let step = 1; step < 200; step++) {
      now += pick([1, 10, 1000]);
      const connection = pick([...peers.keys()]);
      const action = random.below(20);
      if (action < 2 || connection === undefined) {
        const incarnation = pick(['life-of-a', 'life-of-b']);
        follow(hello(run, 1000 + step, helloOf(pick([...names, 'x']), { incarnation }), now), now);
      } else if (action === 2) drop(connection, 'gone', now);
      else if (action === 3) follow(advance(run, now), now);
      else {
        const peer = peers.get(connection)!;
        const joining = run.members.get(peer)!.state === 'joining';
        const message = action < 6 ? pick(rare)() : joining ? readyWith() : pick(usual)();
        follow(receive(run, peer, message, now), now);
      }
    }
    for (const [connection] of peers) drop(connection, 'gone', now);
    follow(advance(run, now + 30_000), now + 30_000);
    return run;
  }

  it('throws nothing, can be shown and summed up at its end, and ends once all have left', () => {
    let [finished, committed] = [0, 0];
    for (let seed = 0; seed < 200; seed++) {
      const run = playHistory(seed);
      if (run.phase === 'finished') finished += 1;
      committed += run.committed;
      expect(run.phase, `seed ${seed}`).not.toBe('training');
      expect(run.connections.size, `seed ${seed}`).toBe(0);
      expect(run.members.size, `seed ${seed}`).toBeLessThanOrEqual(run.options.places.length);
      expect(statusOf(run, 0, 0).peers).toHaveLength(run.members.size);
      expect(summarise(run, false, 1).peers).toHaveLength(run.members.size);
    }
    // The histories are long enough to come to something.
    expect(finished).toBeGreaterThan(50);
    expect(committed).toBeGreaterThan(50);
  });
});
