import { describe, expect, it } from 'vitest';
import { receiveFrame } from '../../coordinator/frames.ts';
import type { RoundEffect } from '../../coordinator/roundState.ts';
import { contribute, heard, leave, tick } from '../../coordinator/rounds.ts';
import { advance, disconnected } from '../../coordinator/run.ts';
import type { Run, RunEffect } from '../../coordinator/runState.ts';
import { statusOf } from '../../coordinator/status.ts';
import { summarise } from '../../coordinator/summary.ts';
import { openOf, summariseTraffic, type Traffic } from '../../coordinator/traffic.ts';
import type { PeerMessage } from '../../src/protocol/messages.ts';
import { createRandom } from '../../src/random.ts';
import {
  answersOf,
  batchOf,
  closesOf,
  doneAt,
  emptyRun,
  enter,
  helloOf,
  logitsOf,
  payloadOf,
  predictionsOf,
  progressAt,
  readyOf,
  readyWith,
  roleOf,
  roundsOf,
  rowsOf,
  sentBy,
  settingsWith,
  startedRun,
} from './support.ts';

describe('rounds with any history', () => {
  /** Plays a history of these peers; whom each contribution came from and whom each effect answers, in order. */
  function play(key: string, seed: number, all: readonly string[]) {
    const random = createRandom(key, seed);
    const quorum = ([1, 2, 'all'] as const)[random.below(3)]!;
    const names = all.filter((_, i) => i === 0 || i === all.length - 1 || random.below(3) > 0);
    const rounds = roundsOf(names, { quorum });
    const sent = new Set<string>();
    const effects: RoundEffect[] = [];
    for (let now = 0; now < 600; now += 1 + random.below(60)) {
      const peer = names[random.below(names.length)]!;
      const round = Math.max(0, rounds.lastClosed + random.below(4) - 1);
      const action = random.below(10);
      if (action === 0) effects.push(...leave(rounds, peer, 'away'));
      else if (action === 1) effects.push(...enter(rounds, peer, now, names));
      else if (action === 2) heard(rounds, peer, random.below(2) === 0, now);
      else if (action === 3) effects.push(...tick(rounds, now));
      else if (!sent.has(`${peer} ${round}`)) {
        sent.add(`${peer} ${round}`);
        const batch = batchOf(random.below(8) === 0 ? 99 : round);
        const payload = payloadOf([0]);
        effects.push(...contribute(rounds, { peer, round, batch, view: 'shared', payload }, now));
      }
    }
    for (const peer of names) effects.push(...leave(rounds, peer, 'finished'));
    return { rounds, sent, effects };
  }

  it('answers every contribution exactly once, and leaves no round open behind', () => {
    for (const all of [['a'], ['a', 'b', 'c', 'd'], ['a', 'b', 't1', 't2']]) {
      for (let seed = 0; seed < 300; seed++) {
        const { rounds, sent, effects } = play('history', seed, all);
        const answered = answersOf(effects).map((answer) => answer.split(' ').slice(0, 2).join(' '));
        expect(answered.toSorted(), `seed ${seed}`).toEqual([...sent].toSorted());
        expect(rounds.open.size, `seed ${seed}`).toBe(0);
      }
    }
  });

  it('lets teachers advance and teaches students, never the other way round', () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 300; seed++) {
      for (const effect of play('roles', seed, ['a', 'b', 't1', 't2']).effects) {
        if (effect.type === 'advance') expect(roleOf(effect.peer)).toBe('teacher');
        if (effect.type === 'noTarget' && effect.reason !== 'refused')
          expect(roleOf(effect.peer)).toBe('student');
        if (effect.type === 'commit') {
          expect([...effect.teachers].every((peer) => roleOf(peer) === 'teacher')).toBe(true);
          expect([...effect.learners].every((peer) => roleOf(peer) === 'student')).toBe(true);
          expect(effect.learners.size).toBeGreaterThan(0);
        }
        seen.add(effect.type === 'advance' && effect.nextRound !== undefined ? 'skip' : effect.type);
      }
    }
    expect([...seen].toSorted()).toEqual(['advance', 'commit', 'noTarget', 'skip']);
  });

  it('never lets a teacher get past a student that may still come', () => {
    for (let seed = 0; seed < 200; seed++) {
      const random = createRandom('pace', seed);
      const rounds = roundsOf(['a', 't'], { quorum: ([1, 'all'] as const)[random.below(2)]! });
      const next = { a: 0, t: 0 };
      const waits = { a: false, t: false };
      const away = { a: false, t: false };
      const follow = (effects: readonly RoundEffect[]): void => {
        for (const effect of effects) {
          if (effect.type === 'repeated') continue;
          const peer = (effect.type === 'commit' ? 'a' : effect.peer) as 'a' | 't';
          const skip = effect.type === 'commit' ? undefined : effect.nextRound;
          waits[peer] = false;
          next[peer] = Math.max(effect.round + 1, skip ?? 0);
        }
      };
      for (let now = 0; now < 3000; now += random.below(80)) {
        const peer = (['a', 't'] as const)[random.below(2)]!;
        if (away[peer] || random.below(12) === 0) {
          away[peer] = !away[peer];
          waits[peer] = false;
          if (away[peer]) follow(leave(rounds, peer, 'away'));
          else follow(enter(rounds, peer, now, ['a', 't']));
        } else if (!waits[peer]) {
          waits[peer] = true;
          const round = next[peer];
          const payload = payloadOf([0]);
          follow(contribute(rounds, { peer, round, batch: batchOf(round), view: 'shared', payload }, now));
        } else follow(tick(rounds, now));
        expect(next.t, `seed ${seed}`).toBeLessThanOrEqual(next.a + 1);
      }
      expect(next.a, `seed ${seed}`).toBeGreaterThan(5);
    }
  });
});

describe('a run with any history', () => {
  const settings = ([1, 2, 'all'] as const).map((quorum) => settingsWith({ quorum }));

  /** What a server does: no message of a connection that was closed, and one notice of its end. */
  function playHistory(
    seed: number,
    observe: (run: Run, effects: readonly RunEffect[]) => void = () => {},
  ): Run {
    const random = createRandom('run history', seed);
    const pick = <T>(items: readonly T[]): T => items[random.below(items.length)]!;
    const names = pick([
      ['a'],
      ['a', 'b'],
      ['a', 'b', 'c'],
      ['a', 't1'],
      ['a', 'b', 't1'],
      ['a', 't1', 't2'],
    ]);
    const run = pick([emptyRun, startedRun])(names, pick(settings));
    const peers = new Map([...run.connections].map(([name, connection]) => [connection, name]));
    const follow = (effects: readonly RunEffect[], now: number): void => {
      observe(run, effects);
      for (const effect of effects) if (effect.type === 'attach') peers.set(effect.connection, effect.peer);
      for (const [connection, , reason] of closesOf(effects)) drop(connection, reason, now);
    };
    const drop = (connection: number, reason: string, now: number): void => {
      const peer = peers.get(connection);
      peers.delete(connection);
      if (peer !== undefined) follow(disconnected(run, peer, connection, reason, now), now);
    };
    const round = (): number => Math.max(0, run.rounds.lastClosed + random.below(3));
    const alone = names.some((name) => roleOf(name) === 'teacher');
    const say = (peer: string): PeerMessage =>
      alone && roleOf(peer) === 'student' ? rowsOf(round()) : logitsOf(round());
    const usual = [readyOf, () => progressAt(1), say, say];
    const wide = { shape: [1, 3] as [number, number], data: new Uint8Array(12) };
    const rare: readonly ((peer: string) => PeerMessage)[] = [
      () => rowsOf(round()),
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
        const message = helloOf(pick([...names, 'x']), { incarnation });
        follow(receiveFrame(run, { id: 1000 + step, peer: null }, message, now), now);
      } else if (action === 2) drop(connection, 'gone', now);
      else if (action === 3) follow(advance(run, now), now);
      else {
        const peer = peers.get(connection)!;
        const joining = run.members.get(peer)!.state === 'joining';
        const message = action < 6 ? pick(rare)(peer) : joining ? readyOf(peer) : pick(usual)(peer);
        const room = random.below(30) > 0;
        follow(receiveFrame(run, { id: connection, peer }, message, now, { room }), now);
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
      // While nobody has finished, those that left may come back.
      const left = [...run.members.values()].filter(({ role }) => role === 'student');
      if (left.some(({ state }) => state === 'done')) expect(run.phase, `seed ${seed}`).toBe('finished');
      else if (run.phase === 'training') expect(left.every(({ state }) => state === 'lost')).toBe(true);
      expect(run.connections.size, `seed ${seed}`).toBe(0);
      expect(run.members.size, `seed ${seed}`).toBeLessThanOrEqual(run.options.places.length);
      expect(statusOf(run, 0, 0).peers).toHaveLength(run.members.size);
      expect(summarise(run, false, 1).peers).toHaveLength(run.members.size);
    }
    // The histories are long enough to come to something.
    expect(finished).toBeGreaterThan(50);
    expect(committed).toBeGreaterThan(50);
  });

  it('counts what became of every frame, contribution and answer, so that the sums are right at any time', () => {
    const total = { refused: 0, unused: new Set<string>(), undelivered: 0 };
    for (let seed = 0; seed < 200; seed++) {
      const answers = { target: 0, noTarget: 0, advance: 0 };
      const run = playHistory(seed, (at, effects) => {
        for (const [, { type }] of sentBy(effects)) if (type in answers) answers[type as 'target'] += 1;
        const wrong = [...at.members.values()].filter(
          ({ name, traffic }) => !sumsAreRight(traffic, openOf(at, name)),
        );
        if (wrong.length > 0) expect(wrong, `seed ${seed}`).toEqual([]);
      });
      const { frames, contributions, answers: counted } = summariseTraffic(run);
      expect({ ...answers }, `seed ${seed}`).toEqual({
        ...{ target: counted.targets, noTarget: counted.noTargets, advance: counted.advances },
      });
      expect(frames.received, `seed ${seed}`).toBe(frames.accepted + sum(frames.refused));
      total.refused += sum(frames.refused);
      total.undelivered += counted.undelivered;
      for (const reason of Object.keys(contributions.unused)) total.unused.add(reason);
    }
    // The histories have seen everything that there is to count.
    expect(total.refused).toBeGreaterThan(100);
    expect(total.undelivered).toBeGreaterThan(10);
    expect([...total.unused].toSorted()).toEqual([
      ...['late', 'noStudents', 'noTeachers', 'quorum', 'recalled', 'refused', 'repeated'],
    ]);
  });
});

const sum = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((total, times) => total + times, 0);

/** Plain comparisons: `expect` is slow, and this is asked many times. */
function sumsAreRight({ frames, contributions, answers }: Traffic, open: number): boolean {
  const { received, committed, unused } = contributions;
  const { targets, noTargets, advances, undelivered } = answers;
  return (
    frames.received === frames.accepted + sum(frames.refused) &&
    received === committed + sum(unused) + open &&
    received === targets + noTargets + advances + undelivered + unused.repeated + open
  );
}
