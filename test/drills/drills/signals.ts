import type { Drill } from '../drill.ts';

export const drain: Drill = {
  number: 6,
  title: 'SIGTERM and SIGINT to the coordinator',
  promises: ['P9'],
  criterion:
    'peers get 4009, results are saved, exit code 0 and 130 within 3 s; a second signal ends it at once',
  async run(stage) {
    const took: number[] = [];
    const ways = [
      ['SIGTERM', 0],
      ['SIGINT', 130],
    ] as const;
    for (const [signal, code] of ways) {
      const coordinator = await stage.coordinator();
      const peers = await stage.cast(coordinator);
      await Promise.all(peers.map((peer) => peer.play(0, 5)));
      const startedAt = performance.now();
      coordinator.kill(signal);
      const closings = await Promise.all(peers.map((peer) => peer.closed()));
      const exited = await coordinator.exited;
      took.push(performance.now() - startedAt);
      const codes = closings.map((closing) => closing.code);
      const { interrupted, exchange } = coordinator.summary();
      const right =
        codes.every((each) => each === 4009) && exited === code && interrupted && exchange.rounds === 5;
      if (!right) {
        return {
          passed: false,
          measured: `${signal}: exit ${exited}, closed with ${codes}, ${exchange.rounds} rounds`,
        };
      }
      await stage.collect(coordinator);
    }
    const coordinator = await stage.coordinator();
    await stage.cast(coordinator);
    coordinator.kill('SIGINT');
    await coordinator.logged(/"msg":"stopping/);
    const startedAt = performance.now();
    coordinator.kill('SIGINT');
    const second = await coordinator.exited;
    const atOnce = performance.now() - startedAt;
    return {
      passed: took.every((ms) => ms <= 3_000) && second === 130 && atOnce <= 500,
      measured: `${took.map((ms) => `${(ms / 1000).toFixed(1)} s`).join(' and ')}; the second after ${Math.round(atOnce)} ms`,
    };
  },
};

export const signals: readonly Drill[] = [drain];
