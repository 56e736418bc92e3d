import { createRandom, type Random } from '../../../src/random.ts';
import type { RunSummary } from '../../../src/results/types.ts';
import type { Drill } from '../drill.ts';
import type { Program } from '../programs.ts';
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
  criterion:
    'all peers are back within 10 s of the kill by themselves; the weights are those of a training without it',
  async run(stage) {
    const train = async (label: string, kill: boolean): Promise<{ summary: RunSummary; backMs: number }> => {
      let coordinator = await stage.coordinator(PATIENT);
      const students = coordinator.names.map((name) =>
        stage.student(`${label}-${name}`, coordinator.url, ['--name', name]),
      );
      let backMs = 0;
      if (kill) {
        await poll(coordinator, ({ rounds }) => rounds.committed >= 8);
        const before = coordinator.events().length;
        const startedAt = performance.now();
        stage.fault('killed', 'coordinator');
        coordinator.kill('SIGKILL');
        coordinator = await startAgain(stage, coordinator, PATIENT);
        await Promise.all(coordinator.names.map((name) => comesBack(coordinator, name, before)));
        backMs = performance.now() - startedAt;
      }
      await Promise.all(students.map(({ exited }) => exited));
      await stage.collect(coordinator);
      return { summary: coordinator.summary(), backMs };
    };
    const usual = await train('usual', false);
    const killed = await train('killed', true);
    const same = sameResult(usual.summary, killed.summary);
    return {
      passed: same.passed && killed.backMs <= 10_000,
      measured: `back after ${(killed.backMs / 1000).toFixed(1)} s; ${same.measured}`,
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

/** Steps in the five epochs from one checkpoint to the next. */
const CHECKPOINT_STEPS = 20;

/** Training peers that wait for everybody, and keep checkpoints. */
export function patient(peers: number, epochs: number): RunOptions {
  return {
    ...{ scripted: false, peers, quorum: 'all', lease: '30s' },
    args: ['--on-coordinator-loss', 'wait', '--epochs', `${epochs}`, '--evaluate-every', '5'],
  };
}

/** A training in which something is killed again and again: `kill` is called at moments that the seed decides. */
async function trainThrough(
  stage: Stage,
  label: string,
  options: RunOptions,
  times: number,
  kill: (training: Training, random: Random) => Promise<void>,
): Promise<RunSummary> {
  const random = createRandom(stage.seed, label);
  const coordinator = await stage.coordinator(options);
  const { url, names } = coordinator;
  const start = (name: string): Program => stage.student(`${label}-${name}`, url, ['--name', name]);
  const training: Training = { start, coordinator, students: names.map(start) };
  // Not before the first checkpoint: a peer without one takes all its rounds again.
  let committed = 2 * CHECKPOINT_STEPS;
  for (let time = 0; time < times; time++) {
    committed += 5 + random.below(20);
    const { rounds } = await poll(training.coordinator, (status) => status.rounds.committed >= committed);
    committed = rounds.committed;
    await pass(random.below(50));
    await kill(training, random);
  }
  await Promise.all(training.students.map(({ exited }) => exited));
  await stage.collect(training.coordinator);
  return training.coordinator.summary();
}

interface Training {
  readonly start: (name: string) => Program;
  coordinator: Coordinator;
  /** In the order of the coordinator's names. */
  readonly students: Program[];
}

/** How often something is killed, and the time that eight peers may take to be back, in milliseconds. */
const COORDINATOR_KILLS = 20;
const PEER_KILLS = 10;
const BACK_MS = 5_000;

export const coordinatorOfEight: Drill = {
  number: 35,
  title: `kill -9 the coordinator of 8 training peers ${COORDINATOR_KILLS} times, at random moments`,
  promises: ['P5', 'P6', 'P8'],
  criterion: `all 8 are back within ${BACK_MS / 1000} s of the kill (p95), within twice that always; no round is lost; the weights are those of a training without it`,
  long: true,
  async run(stage) {
    const options = patient(8, 150);
    const usual = await trainThrough(stage, 'usual', options, 0, async () => {});
    const times: number[] = [];
    const killed = await trainThrough(stage, 'killed', options, COORDINATOR_KILLS, async (training) => {
      const before = training.coordinator.events().length;
      const killedAt = performance.now();
      stage.fault('killed', 'coordinator');
      training.coordinator.kill('SIGKILL');
      training.coordinator = await startAgain(stage, training.coordinator, options);
      const { names } = training.coordinator;
      await Promise.all(names.map((name) => comesBack(training.coordinator, name, before)));
      times.push(performance.now() - killedAt);
    });
    times.sort((a, b) => a - b);
    const [p95, most] = [times[Math.ceil(0.95 * times.length) - 1]!, times.at(-1)!];
    const same = sameResult(usual, killed);
    return {
      passed: same.passed && p95 <= BACK_MS && most <= 2 * BACK_MS,
      measured: `${times.length} kills: back after ${(p95 / 1000).toFixed(1)} s (p95), ${(most / 1000).toFixed(1)} s at most; ${same.measured}`,
    };
  },
};

export const peersKilled: Drill = {
  number: 36,
  title: `kill -9 a training peer ${PEER_KILLS} times, at random moments, and start it again`,
  promises: ['P5', 'P8'],
  criterion: 'it goes on from its checkpoint each time; the weights are those of a training without it',
  long: true,
  async run(stage) {
    const options = patient(3, 100);
    const usual = await trainThrough(stage, 'usual', options, 0, async () => {});
    const from: string[] = [];
    const killed = await trainThrough(stage, 'killed', options, PEER_KILLS, async (training, random) => {
      const { coordinator, students, start } = training;
      const i = random.below(students.length);
      stage.fault('killed', coordinator.names[i]);
      students[i]!.kill('SIGKILL');
      await students[i]!.exited;
      students[i] = start(coordinator.names[i]!);
      const [, step] = /going on from step (\d+)/.exec(await students[i]!.logged(/going on from step/))!;
      from.push(step!);
    });
    const same = sameResult(usual, killed);
    return {
      passed: same.passed && from.length === PEER_KILLS,
      measured: `went on from steps ${from.join(', ')}; ${same.measured}`,
    };
  },
};

/** Whether two trainings had the same rounds, and ended with the same weights. */
function sameResult(usual: RunSummary, other: RunSummary): { passed: boolean; measured: string } {
  const [a, b] = [digestsOf(usual), digestsOf(other)];
  const [expected, got] = [usual.exchange.rounds, other.exchange.rounds];
  return {
    passed: a === b && !a.includes('none') && expected === got,
    measured: `${got} of ${expected} rounds; weights ${a === b ? 'the same' : `${b}, not ${a}`}`,
  };
}

export const restarts: readonly Drill[] = [
  coordinatorKilled,
  killedAnywhere,
  coordinatorOfEight,
  peersKilled,
];
