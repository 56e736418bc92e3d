import { experimentSchema, runSettings } from '../../src/config/schema.ts';
import { createRandom } from '../../src/random.ts';
import { createCoordinator } from './coordinator.ts';
import { createDisk } from './disk.ts';
import { createNetwork } from './network.ts';
import { createPeer } from './peer.ts';
import { describe, FAULTS_UNTIL_MS, type Fault, isTeacher, type Plan } from './plan.ts';
import { createPromises } from './promises.ts';
import { createWorld } from './world.ts';

export interface Outcome {
  /** Promises that were broken; empty in a sound run. */
  readonly broken: readonly string[];
  /** How each student's training ended: a number that all of its steps decide. */
  readonly weights: Readonly<Record<string, number>>;
  /** Nobody left, lost its place or missed a round: what came out is what would have without faults. */
  readonly whole: boolean;
  readonly trace: readonly string[];
  readonly rounds: number;
}

const MAX_WAIT_MS = 1_000;
const LEASE_MS = 5_000;
/** Time that a run may take after everything is well again. */
const LIMIT_MS = FAULTS_UNTIL_MS + 240_000;

/** Plays a run with its faults, and checks what is promised of it. */
export async function simulate(plan: Plan): Promise<Outcome> {
  const trace: string[] = [];
  const { seed, quorum, onCoordinatorLoss, steps, burnInSteps, checkpointEvery } = plan;
  const note = (what: string): void => void trace.push(`${Math.round(world.now())} ms: ${what}`);
  const world = createWorld(() => {
    if (coordinator.run) promises.looked(coordinator.run);
  });
  const network = createNetwork(world, createRandom('network', seed));
  const disk = createDisk(plan.journalRounds);
  const promises = createPromises(world, disk);
  const roleOf = (name: string) => (isTeacher(name) ? 'teacher' : 'student');
  const settings = runSettings(
    experimentSchema.parse({
      data: { batchSize: 1 },
      exchange: { codec: 'float32', quorum, maxWait: MAX_WAIT_MS, lease: LEASE_MS, onCoordinatorLoss },
      peers: [{ model: 'mlp', count: 9 }],
    }),
  );
  const places = plan.peers.map((name) => ({ name, model: 'mlp', role: roleOf(name) }) as const);
  let lost = 0;
  const borrowedWrong: string[] = [];
  const coordinator = createCoordinator(
    world,
    network,
    disk,
    { id: 'run', settings, places },
    {
      before: promises.before,
      after(run, effects) {
        promises.after(run, effects);
        for (const effect of effects) {
          if (effect.type !== 'event') continue;
          const { event, peer = '', round = '', reason = '' } = effect.record;
          note(`${event} ${peer} ${round} ${reason}`);
          if (event === 'lost') lost += 1;
        }
      },
    },
  );
  const peers = plan.peers.map((name, i) =>
    createPeer(world, network, {
      ...{ name, role: roleOf(name), steps, burnInSteps, checkpointEvery, onCoordinatorLoss },
      ...{ stepMs: plan.stepMs[i]!, clockRate: plan.clockRate[i]! },
      taught: plan.peers.some(isTeacher),
      borrowed(lender, step, weights) {
        note(`${name} begins with the weights of ${lender} at step ${step}`);
        if (peers.find((each) => each.name === lender)?.hadWeights(step, weights)) return;
        borrowedWrong.push(`P5 determinism: ${name} got weights that ${lender} did not have at step ${step}`);
      },
      answered(incarnation, round, answer) {
        note(`${name} gets ${answer.kind} ${answer.kind === 'none' ? answer.reason : ''} for round ${round}`);
        promises.answered(name, incarnation, round, answer);
      },
    }),
  );
  const peerOf = (fault: Fault) => peers.find(({ name }) => name === fault.peer)!;

  const restartCoordinator = (): void => {
    if (coordinator.run || coordinator.finished) return;
    coordinator.start();
    promises.restarted(coordinator.run!);
    note('the coordinator starts again');
  };
  const crashCoordinator = (forMs: number): void => {
    if (!coordinator.run || coordinator.finished) return;
    coordinator.crash();
    note('the coordinator is gone');
    world.after(forMs, restartCoordinator);
  };
  const strike = (fault: Fault): void => {
    note(describe(fault));
    const until = world.now() + fault.forMs;
    switch (fault.kind) {
      case 'crash peer':
        peerOf(fault).crash();
        world.after(fault.forMs, peerOf(fault).start);
        return;
      case 'lose disk':
        peerOf(fault).loseDisk();
        world.after(fault.forMs, peerOf(fault).start);
        return;
      case 'stop peer':
        peerOf(fault).stop();
        world.after(fault.forMs + 1_000, peerOf(fault).start);
        return;
      case 'cut':
        network.cut(fault.peer!);
        return;
      case 'block':
        network.block(fault.peer!, until);
        return;
      case 'stall':
        peerOf(fault).stall(until);
        return;
      case 'slow':
        peerOf(fault).slowDown(10);
        world.after(fault.forMs, () => peerOf(fault).slowDown(1));
        return;
      case 'duplicate':
        network.duplicateNext(fault.peer!);
        return;
      case 'crash coordinator':
        crashCoordinator(fault.forMs);
        return;
      case 'crash coordinator after its next write':
        disk.onWrite = () => crashCoordinator(fault.forMs);
        return;
      case 'disk full':
        disk.full = true;
        world.after(fault.forMs, () => {
          disk.full = false;
        });
    }
  };

  coordinator.start();
  for (const peer of peers) peer.start();
  for (const fault of plan.faults) world.after(fault.atMs, () => strike(fault));
  // A person would start again what has left and failed.
  const tend = (): void => {
    for (const peer of peers)
      if (peer.ended?.startsWith('finished') === false && peer.ended !== 'crashed') peer.start();
    world.after(10_000, tend);
  };
  world.after(FAULTS_UNTIL_MS + 20_000, tend);
  await world.run(LIMIT_MS, () => coordinator.finished);

  const broken = [...promises.broken, ...borrowedWrong];
  if (!coordinator.finished) {
    const states = peers.map(({ name, ended }) => `${name}: ${ended ?? 'at work'}`);
    broken.push(`P7 liveness: the run is not over after ${LIMIT_MS} ms; ${states.join(', ')}`);
  }
  const run = coordinator.run;
  const misses = run ? Object.values(run.missed).reduce((sum, count) => sum + count, 0) : 0;
  const students = [...(run?.members.values() ?? [])].filter(({ role }) => role === 'student');
  const stopped = plan.faults.some(({ kind }) => kind === 'stop peer' || kind === 'lose disk');
  const kept = plan.journalRounds >= 1000 && plan.faults.every(({ kind }) => kind !== 'disk full');
  const waits = quorum === 'all' && onCoordinatorLoss === 'wait';
  if (waits && kept && !stopped && lost === 0 && run && run.missed.late > 0) {
    broken.push(`P8 resumability: ${run.missed.late} rounds were missed by who had its place and came back`);
  }
  return {
    broken,
    weights: Object.fromEntries(
      peers.flatMap(({ name, weights }) => (roleOf(name) === 'student' ? [[name, weights]] : [])),
    ),
    whole:
      lost === 0 &&
      misses === 0 &&
      !stopped &&
      !promises.forgot &&
      students.every(({ state }) => state === 'done'),
    trace,
    rounds: run?.committed ?? 0,
  };
}
