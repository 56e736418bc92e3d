import { join } from 'node:path';
import type { RunSummary } from '../../../src/results/types.ts';
import type { Drill } from '../drill.ts';
import { onDisk, restoreDisk } from '../restoreDisk.ts';
import { pass, type Stage } from '../stage.ts';
import { patient, startAgain } from './restarts.ts';
import { digestsOf } from './trainings.ts';

/** Steps in all, of four an epoch. */
const STEPS = 280;
const OPTIONS = patient(2, STEPS / 4);
/** The journal may lose as much before a power cut, and the peers may take as long to go on, in milliseconds; see P6. */
const LAST_MS = 1_000;
const BACK_MS = 10_000;

/** When the power fails: never, at once, or when nothing has happened for longer than the journal may lose. */
type Cut = 'never' | 'at once' | 'after a pause';

export const powerCut: Drill = {
  number: 38,
  title: 'the power fails everywhere at once: disks hold what was flushed to them, and nothing else',
  promises: ['P6', 'P8'],
  criterion:
    'the run goes on within 10 s from what the disks hold; after a second without a round, with the weights of a training without it',
  async run(stage) {
    const usual = await train(stage, 'never');
    const atOnce = await train(stage, 'at once');
    const paused = await train(stage, 'after a pause');
    const [a, b] = [digestsOf(usual.summary), digestsOf(paused.summary)];
    const backMs = Math.max(atOnce.backMs, paused.backMs);
    const finished = atOnce.summary.peers.every(({ outcome }) => outcome === 'finished');
    return {
      passed: finished && backMs <= BACK_MS && a === b && !a.includes('none'),
      measured: `after ${(backMs / 1000).toFixed(1)} s, went on from steps ${atOnce.from.join(', ')} of ${STEPS}, and ${paused.from.join(', ')}; weights ${a === b ? 'the same' : `${b}, not ${a}`}`,
    };
  },
};

async function train(
  stage: Stage,
  cut: Cut,
): Promise<{ summary: RunSummary; from: string[]; backMs: number }> {
  const label = cut.replaceAll(' ', '-');
  const disk = (name: string): string => join(stage.folder, `disk-${label}-${name}`);
  let coordinator = await stage.coordinator(OPTIONS, onDisk(disk('coordinator')));
  const { url, names } = coordinator;
  const start = (name: string) =>
    stage.student(`${label}-${name}`, url, ['--name', name], onDisk(disk(name)));
  let students = names.map(start);
  let from: string[] = [];
  let backMs = 0;
  if (cut !== 'never') {
    await coordinator.event('started');
    await pass(2 * LAST_MS);
    if (cut === 'after a pause') {
      // The others wait for it. What is on its way to a disk arrives.
      students[0]!.kill('SIGSTOP');
      await pass(2 * LAST_MS);
    }
    stage.fault('killed', 'coordinator');
    for (const program of [coordinator, ...students]) program.kill('SIGKILL');
    await Promise.all(students.map(({ exited }) => exited));
    await coordinator.exited;
    restoreDisk(coordinator.folder, disk('coordinator'));
    for (const name of names) restoreDisk(join(stage.folder, `${label}-${name}`), disk(name));
    const startedAt = performance.now();
    coordinator = await startAgain(stage, coordinator, OPTIONS);
    students = names.map(start);
    const told = await Promise.all(students.map(({ logged }) => logged(/going on from step/)));
    from = told.map((line) => /going on from step (\d+)/.exec(line)![1]!);
    backMs = performance.now() - startedAt;
  }
  await Promise.all(students.map(({ exited }) => exited));
  await stage.collect(coordinator);
  return { summary: coordinator.summary(), from, backMs };
}
