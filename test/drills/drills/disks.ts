import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RunSummary } from '../../../src/results/types.ts';
import type { Drill } from '../drill.ts';
import { type RunOptions, type Stage, until } from '../stage.ts';
import { digestsOf } from './trainings.ts';

export const full: Drill = {
  number: 26,
  title: 'no room on the disk of the coordinator, from the start on',
  promises: ['P1', 'P7'],
  criterion:
    'every round has its targets; the log says what is not kept, and the exit code that something is missing',
  async run(stage) {
    const folder = join(stage.folder, 'full');
    mkdirSync(folder, { recursive: true });
    for (const name of ['events.ndjson', 'metrics.ndjson']) symlinkSync('/dev/full', join(folder, name));
    const coordinator = await stage.coordinator({ folder });
    const peers = await stage.cast(coordinator);
    const taken = await Promise.all(peers.map((peer) => peer.play(0, 100)));
    const alive = await coordinator.probe();
    const said = coordinator.logged(/ENOSPC|no space|disk/i);
    coordinator.expectFailure();
    await Promise.all(peers.map((peer) => peer.finish().catch(() => {})));
    const code = await coordinator.exited;
    const line = await said;
    return {
      passed: taken.every((rounds) => rounds.length === 100) && alive < 1_000 && code !== 0,
      measured: `${taken[0]!.length} of 100 rounds; exit code ${code}; "${line.slice(0, 80)}"`,
    };
  },
};

/** A checkpoint after each epoch of four steps. Everybody waits for everybody. */
const CHECKPOINTED: RunOptions = {
  ...{ scripted: false, peers: 2, quorum: 'all', lease: '30s' },
  args: ['--on-coordinator-loss', 'wait', '--epochs', '12', '--evaluate-every', '1'],
};

export const damaged: Drill = {
  number: 27,
  title:
    'kill -9 a training peer, cut its newest checkpoint short, flip a bit in the one before, start it again',
  promises: ['P5', 'P8'],
  criterion:
    'says which it passes over, goes on from the one before, and ends with the weights of a training without it',
  async run(stage) {
    const usual = await train(stage, 'usual', false);
    const broken = await train(stage, 'damaged', true);
    const [a, b] = [usual, broken].map(({ summary }) => digestsOf(summary));
    return {
      passed: a === b && !a!.includes('none') && broken.passedOver === 2,
      measured: `${broken.passedOver} passed over, ${broken.goesOn}; weights ${a === b ? 'the same' : `${b}, not ${a}`}`,
    };
  },
};

async function train(
  stage: Stage,
  label: string,
  damage: boolean,
): Promise<{ summary: RunSummary; passedOver: number; goesOn: string }> {
  const coordinator = await stage.coordinator(CHECKPOINTED);
  const start = (name: string) => stage.student(`${label}-${name}`, coordinator.url, ['--name', name]);
  const [victim, other] = coordinator.names.map(start);
  let [passedOver, goesOn] = [0, ''];
  let again = victim!;
  if (damage) {
    const folder = join(stage.folder, victim!.name, 'checkpoints');
    const names = (): string[] =>
      existsSync(folder)
        ? readdirSync(folder)
            .filter((name) => name.endsWith('.safetensors'))
            .sort()
        : [];
    await until(() => names().length === 3, 'three checkpoints');
    stage.fault('killed', coordinator.names[0]);
    victim!.kill('SIGKILL');
    await victim!.exited;
    const [, before, newest] = names().map((name) => join(folder, name));
    const bytes = readFileSync(before!);
    bytes[bytes.length >> 1]! ^= 1;
    writeFileSync(before!, bytes);
    writeFileSync(newest!, readFileSync(newest!).subarray(0, -1_000));
    again = start(coordinator.names[0]!);
    goesOn = /going on from step \d+/.exec(await again.logged(/going on from step/))![0];
    const log = readFileSync(join(stage.folder, `${again.name}.log`), 'utf8');
    passedOver = log.split('\n').filter((line) => line.includes('checkpoint passed over')).length;
  }
  await Promise.all([again.exited, other!.exited]);
  await stage.collect(coordinator);
  return { summary: coordinator.summary(), passedOver, goesOn };
}

export const disks: readonly Drill[] = [full, damaged];
