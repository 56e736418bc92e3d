import { createRandom } from '../../../src/random.ts';
import type { RunSummary } from '../../../src/results/types.ts';
import type { Drill } from '../drill.ts';
import type { ScriptedPeer } from '../scriptedPeer.ts';
import { type Coordinator, pass, type RunOptions, type Stage } from '../stage.ts';
import { comesBack, poll } from './silence.ts';
import { digestsOf } from './trainings.ts';

/** The same coordinator, started again in its folder and on its port. */
export async function startAgain(
  stage: Stage,
  killed: Coordinator,
  options: RunOptions,
): Promise<Coordinator> {
  await killed.exited;
  return stage.coordinator({ ...options, folder: killed.folder, port: new URL(killed.url).port });
}

/** Everybody waits for everybody, so that nothing depends on how long something takes. */
const PATIENT: RunOptions = {
  ...{ scripted: false, peers: 3, quorum: 'all', lease: '30s' },
  args: ['--on-coordinator-loss', 'wait', '--epochs', '15', '--evaluate-every', '15'],
};

export const coordinatorKilled: Drill = {
  number: 4,
  title: 'kill -9 the coordinator in the midst of training, and start it again',
  promises: ['P5', 'P6', 'P8'],
  criterion: 'all peers are back within 10 s by themselves; the weights are those of a training without it',
  async run(stage) {
    const train = async (label: string, kill: boolean): Promise<{ summary: RunSummary; backMs: number }> => {
      let coordinator = await stage.coordinator(PATIENT);
      const students = coordinator.names.map((name) =>
        stage.student(`${label}-${name}`, coordinator.url, ['--name', name]),
      );
      let backMs = 0;
      if (kill) {
        await poll(coordinator, ({ rounds }) => rounds.committed >= 8);
        stage.fault('killed', 'coordinator');
        coordinator.kill('SIGKILL');
        coordinator = await startAgain(stage, coordinator, PATIENT);
        const startedAt = performance.now();
        const before = coordinator.events().length;
        await Promise.all(coordinator.names.map((name) => comesBack(coordinator, name, before)));
        backMs = performance.now() - startedAt;
      }
      await Promise.all(students.map(({ exited }) => exited));
      await stage.collect(coordinator);
      return { summary: coordinator.summary(), backMs };
    };
    const usual = await train('usual', false);
    const killed = await train('killed', true);
    const [a, b] = [digestsOf(usual.summary), digestsOf(killed.summary)];
    const rounds = [usual, killed].map(({ summary }) => summary.exchange.rounds);
    return {
      passed: a === b && !a.includes('none') && killed.backMs <= 10_000 && rounds[0] === rounds[1],
      measured: `back after ${(killed.backMs / 1000).toFixed(1)} s; ${rounds[1]} of ${rounds[0]} rounds; weights ${a === b ? 'the same' : `${a}, not ${b}`}`,
    };
  },
};

/** How often the coordinator is killed while it writes. */
const KILLS = 10;

export const killedAnywhere: Drill = {
  number: 5,
  title: `kill -9 the coordinator ${KILLS} times, at any moment of a round`,
  promises: ['P3', 'P5', 'P6'],
  criterion: 'starts again each time, with every answer that a peer has heard',
  async run(stage) {
    const random = createRandom(stage.seed, 'kills');
    const options: RunOptions = { quorum: 'all', lease: '30s' };
    let coordinator = await stage.coordinator(options);
    let peers = await stage.cast(coordinator);
    let next = peers.map(() => 0);
    let asked = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      const playing = peers.map((peer, i) => playUntilClosed(peer, next[i]!));
      await pass(20 + random.below(100));
      stage.fault('killed', 'coordinator');
      coordinator.kill('SIGKILL');
      next = await Promise.all(playing);
      coordinator = await startAgain(stage, coordinator, options);
      peers = peers.map(({ name, life }) => stage.scripted(name, coordinator, { life }));
      await Promise.all(peers.map((peer, i) => peer.join({ step: next[i]! })));
      await Promise.all(peers.map((peer) => peer.next('start')));
      // What they have heard, once more: the validator compares.
      await Promise.all(
        peers.map(async (peer, i) => {
          if (next[i]! === 0) return;
          await peer.exchange(next[i]! - 1);
          asked += 1;
        }),
      );
    }
    const last = Math.max(...next);
    await Promise.all(peers.map((peer, i) => peer.play(next[i]!, last + 5)));
    return {
      passed: asked > 0,
      measured: `${KILLS} kills in ${last} rounds; asked again for ${asked} answers`,
    };
  },
};

/** Plays until the connection ends; the first round that it has no answer for. */
async function playUntilClosed(peer: ScriptedPeer, from: number): Promise<number> {
  for (let round = from; ; round++) {
    try {
      await peer.exchange(round);
    } catch {
      return round;
    }
  }
}

export const restarts: readonly Drill[] = [coordinatorKilled, killedAnywhere];
