import type { Drill } from '../drill.ts';
import { rssOf } from '../programs.ts';
import { pass } from '../stage.ts';
import { roundTimes } from './play.ts';

/** Rounds in which a peer takes part without reading what it gets, at most. */
/** Longer than a coordinator waits for a peer that reads nothing. */
const LIMIT_MS = 60_000;
const TARGET_BYTES = 64 * 1_000 * 4;

export const slowConsumer: Drill = {
  number: 11,
  title: 'a peer that takes part and does not read what it gets',
  promises: ['P1', 'P2'],
  criterion:
    'what waits for it is bounded, then it is out; memory grows by less than 128 MiB, rounds by less than 2x or 20 ms',
  long: true,
  async run(stage) {
    const coordinator = await stage.coordinator({
      rows: 64,
      classes: 1_000,
      light: true,
    });
    const [a, b, deaf] = await stage.cast(coordinator);
    const all = [a!, b!, deaf!];
    const usual = await roundTimes(all, 0, 50);
    const before = rssOf(coordinator.pid);
    stage.fault('reads nothing', deaf!.name);
    deaf!.link.read(false);
    const out = (): boolean =>
      coordinator.events().some(({ event, peer }) => event === 'left' && peer === deaf!.name);
    const times: number[] = [];
    let most = 0;
    let rounds = 0;
    const until = performance.now() + LIMIT_MS;
    for (let round = 50; performance.now() < until && !out(); round++, rounds++) {
      const startedAt = performance.now();
      deaf!.contribute(round);
      await Promise.all([a!.exchange(round), b!.exchange(round)]);
      times.push(performance.now() - startedAt);
      most = Math.max(most, rssOf(coordinator.pid) - before);
    }
    const reason = coordinator
      .events()
      .find(({ event, peer }) => event === 'left' && peer === deaf!.name)?.reason;
    times.sort((x, y) => x - y);
    const loaded = times[Math.floor(0.95 * times.length)]!;
    stage.bound('P1', 'memory beside a peer that reads nothing', most, 128, 'MiB');
    stage.bound('P2', 'rounds beside it', loaded, Math.max(2 * usual, usual + 20), 'ms');
    const sent = Math.round((rounds * TARGET_BYTES) / 2 ** 20);
    return {
      passed: reason !== undefined,
      measured: `out after ${rounds} rounds (${sent} MiB): ${reason ?? 'never'}; +${Math.round(most)} MiB, p95 ${usual.toFixed(1)} to ${loaded.toFixed(1)} ms`,
    };
  },
};

export const slowProducer: Drill = {
  number: 12,
  title: 'a peer on a line of 10 kB/s, whose contribution takes longer than its lease',
  promises: ['P2', 'P8'],
  criterion: 'it keeps its place as long as bytes come; the others do not wait for it after the deadline',
  async run(stage) {
    const rows = 64;
    const classes = 100;
    const coordinator = await stage.coordinator({ rows, classes, lease: '900ms', maxWait: '400ms' });
    const line = await stage.proxy(coordinator.url);
    const last = coordinator.names.at(-1)!;
    const [a, b, slow] = await stage.cast(coordinator, (name) => (name === last ? { url: line.url } : {}));
    await Promise.all([a!, b!, slow!].map((peer) => peer.exchange(0)));
    stage.fault('is on a thin line', last);
    line.set('up', { bytesPerSecond: 10_000 });
    const startedAt = performance.now();
    const answer = slow!.exchange(1);
    const firstAt = performance.now();
    await Promise.all([a!.exchange(1), b!.exchange(1)]);
    const waited = performance.now() - firstAt;
    await Promise.all([a!.play(2, 20), b!.play(2, 20)]);
    const told = await answer;
    const took = performance.now() - startedAt;
    const kept = !coordinator.events().some(({ event }) => event === 'left');
    return {
      passed: kept && told.type === 'noTarget' && told.nextRound === 20 && waited < 900,
      measured: `${(took / 1000).toFixed(1)} s for ${Math.round((rows * classes * 4) / 1_000)} kB, ${kept ? 'kept its place' : 'lost its place'}; the others waited ${Math.round(waited)} ms`,
    };
  },
};

/** Connections a second, and for how long, of a peer that cannot decide. */
const FLAPS_PER_SECOND = 50;
const FLAPPING_MS = 10_000;
/** What the others take for a step. */
const STEP_MS = 10;

export const flapping: Drill = {
  number: 10,
  title: `a peer that connects and disconnects ${FLAPS_PER_SECOND} times a second, for ${FLAPPING_MS / 1000} s`,
  promises: ['P1', 'P2', 'P8'],
  criterion: "the others' rounds take at most 1.5x or 20 ms more (p95); memory grows by less than 32 MiB",
  long: true,
  async run(stage) {
    const coordinator = await stage.coordinator({ lease: '30s' });
    const [a, b, c] = await stage.cast(coordinator);
    await Promise.all([a!, b!, c!].map((peer) => peer.exchange(0)));
    c!.link.terminate();
    await coordinator.event('left', c!.name);
    const usual = await roundTimes([a!, b!], 1, 200, STEP_MS);
    const before = rssOf(coordinator.pid);
    stage.fault('flaps', c!.name);
    const until = performance.now() + FLAPPING_MS;
    let flaps = 0;
    const flap = async (): Promise<void> => {
      while (performance.now() < until) {
        const peer = stage.scripted(c!.name, coordinator, { life: c!.life });
        await peer.join({ step: 1 });
        await peer.next('start').catch(() => {});
        peer.link.terminate();
        flaps += 1;
        await pass(1000 / FLAPS_PER_SECOND);
      }
    };
    const flown = flap();
    const disturbed = await roundTimes([a!, b!], 201, Math.floor(FLAPPING_MS / (2 * STEP_MS)), STEP_MS);
    await flown;
    const grown = rssOf(coordinator.pid) - before;
    stage.bound('P1', 'memory', grown, 32, 'MiB');
    stage.bound('P2', 'rounds beside it', disturbed, Math.max(1.5 * usual, usual + 20), 'ms');
    return {
      passed: flaps > 100,
      measured: `${flaps} connections; p95 ${usual.toFixed(1)} to ${disturbed.toFixed(1)} ms, +${Math.round(grown)} MiB`,
    };
  },
};

export const slowness: readonly Drill[] = [flapping, slowConsumer, slowProducer];
