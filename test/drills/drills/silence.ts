import { parseDuration } from '../../../src/config/duration.ts';
import { pingIntervalMs } from '../../../src/exchange/pingInterval.ts';
import type { RunStatus } from '../../../src/results/types.ts';
import type { Drill } from '../drill.ts';
import { type Coordinator, pass, until } from '../stage.ts';

const LEASE = '1200ms';
const LEASE_MS = parseDuration(LEASE);
const PING_MS = pingIntervalMs(LEASE_MS);
/** What the other work of this machine may cost. */
const SLACK_MS = 500;

export const stopped: Drill = {
  number: 7,
  title: 'SIGSTOP a peer, and SIGCONT it after its lease',
  promises: ['P2', 'P3', 'P8'],
  criterion: 'its silence is noticed within the lease and a ping; it comes back by its name, and counts once',
  async run(stage) {
    const coordinator = await stage.coordinator({ lease: LEASE, maxWait: '500ms' });
    const last = coordinator.names.at(-1)!;
    const puppet = await stage.puppet('puppet');
    const [a, b, c] = await stage.cast(coordinator, (name) => (name === last ? { open: puppet.open } : {}));
    await Promise.all([a!, b!, c!].map((peer) => peer.play(0, 5)));
    stage.fault('stopped', last);
    puppet.kill('SIGSTOP');
    const stoppedAt = performance.now();
    const left = coordinator.event('left', last);
    await Promise.all([a!.play(5, 50), b!.play(5, 50)]);
    await left;
    const noticedMs = performance.now() - stoppedAt;
    await coordinator.event('lost', last);
    puppet.kill('SIGCONT');
    await c!.closed();
    const back = stage.scripted(last, coordinator, { open: puppet.open, life: c!.life });
    await back.join({ step: 5 });
    await back.next('start');
    const taken = await Promise.all([a!.play(50, 55), b!.play(50, 55), back.play(5, 55)]);
    return {
      passed: noticedMs <= LEASE_MS + PING_MS + SLACK_MS && taken[2]!.length > 0,
      measured: `noticed after ${seconds(noticedMs)} (lease ${seconds(LEASE_MS)}, a ping every ${PING_MS} ms)`,
    };
  },
};

/** Where a training peer loses its connection, as its log says. */
const LOST = /"what":"not connected/;

export const blackhole: Drill = {
  number: 8,
  title: 'a network that swallows everything, both ways and each way alone',
  promises: ['P2', 'P8'],
  criterion:
    'the coordinator notices within the lease (or three steps, where that is longer) and a ping, the peer within three pings and a second',
  async run(stage) {
    const args = ['--epochs', '5000', '--evaluate-every', '5000'];
    const coordinator = await stage.coordinator({ scripted: false, lease: LEASE, maxWait: '500ms', args });
    const directions = ['both', 'up', 'down'] as const;
    const lines = await Promise.all(directions.map(() => stage.proxy(coordinator.url)));
    const peers = coordinator.names.map((name, i) => stage.student(name, lines[i]!.url, ['--name', name]));
    const slowest = Math.max(...(await training(coordinator)));
    const allowedMs = Math.max(LEASE_MS, 3 * slowest);
    const startedAt = performance.now();
    const since = async (what: Promise<unknown>): Promise<number> => {
      await what;
      return performance.now() - startedAt;
    };
    for (const [i, direction] of directions.entries()) {
      stage.fault(`swallowed ${direction}`, coordinator.names[i]!);
      lines[i]!.set(direction, { blackhole: true });
    }
    const [byCoordinator, byPeers] = await Promise.all([
      Promise.all(coordinator.names.map((name) => since(coordinator.event('left', name)))),
      Promise.all(peers.map((peer) => since(peer.logged(LOST)))),
    ]);
    for (const line of lines) line.set('both', {});
    await Promise.all(coordinator.names.map((name) => comesBack(coordinator, name)));
    const [latest, latestPeer] = [Math.max(...byCoordinator), Math.max(...byPeers)];
    return {
      passed:
        latest <= allowedMs + PING_MS + SLACK_MS &&
        latestPeer <= Math.max(latest, 3 * PING_MS + 1_000) + SLACK_MS,
      measured: `coordinator ${byCoordinator.map(seconds).join(', ')} (allowed ${seconds(allowedMs)}); peers ${byPeers.map(seconds).join(', ')}`,
    };
  },
};

export const stalled: Drill = {
  number: 31,
  title: 'a peer that computes for 2 s without a turn of its event loop, with a shorter lease',
  promises: ['P8'],
  criterion: 'it is not taken for dead',
  async run(stage) {
    const coordinator = await stage.coordinator({ lease: LEASE, quorum: 'all' });
    const last = coordinator.names.at(-1)!;
    const puppet = await stage.puppet('puppet');
    const peers = await stage.cast(coordinator, (name) => (name === last ? { open: puppet.open } : {}));
    const slow = peers.at(-1)!;
    slow.progress(2_000);
    const steps = stage.minutes === null ? 3 : stage.minutes * 30;
    for (let round = 0; round < steps; round++) {
      puppet.block(2_000);
      await Promise.all(peers.map((peer) => peer.exchange(round)));
    }
    const deaths = coordinator.events().filter(({ event }) => event === 'left').length;
    return { passed: deaths === 0 && slow.isOpen(), measured: `${deaths} deaths in ${steps} steps of 2 s` };
  },
};

/** Resolves when every peer trains, with the milliseconds that each takes for a step of 64 samples. */
export async function training(coordinator: Coordinator): Promise<number[]> {
  await coordinator.event('started');
  const { peers } = await poll(coordinator, (status) =>
    status.peers.every(({ imagesPerSecond }) => imagesPerSecond > 0),
  );
  return peers.map(({ imagesPerSecond }) => 64_000 / imagesPerSecond);
}

/** Resolves with the coordinator's status once it is like that. */
export async function poll(coordinator: Coordinator, is: (status: RunStatus) => boolean): Promise<RunStatus> {
  for (let tries = 0; tries < 600; tries++) {
    const response = await fetch(`${coordinator.url.replace('ws', 'http')}/status.json`);
    const status = (await response.json()) as RunStatus;
    if (is(status)) return status;
    await pass(50);
  }
  throw new Error('the status of the coordinator did not become what was expected within 30 s');
}

/** Resolves when a peer that left has joined again, after the first records `since`. */
export async function comesBack(coordinator: Coordinator, name: string, since = 0): Promise<void> {
  await until(() => {
    const its = coordinator
      .events()
      .slice(since)
      .filter(({ peer }) => peer === name);
    const left = its.findLastIndex(({ event }) => event === 'left');
    return its.slice(Math.max(0, left)).some(({ event }) => event === 'joined');
  }, `${name} to come back`);
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

export const silence: readonly Drill[] = [stopped, blackhole, stalled];
