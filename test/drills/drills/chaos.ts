import { readdirSync } from 'node:fs';
import { createRandom, type Random } from '../../../src/random.ts';
import type { Drill } from '../drill.ts';
import { inspected, usageOf } from '../inspect.ts';
import { type Program, rssOf } from '../programs.ts';
import type { FaultProxy } from '../proxy.ts';
import { pass, type Stage } from '../stage.ts';
import type { Usage } from '../usage.ts';
import { poll } from './silence.ts';
import { slope } from './slope.ts';

const PEERS = 8;
/** Peers that are never killed: their memory is watched, as the coordinator's is. They are behind proxies. */
const STEADY = 4;
/** Questions of one look. */
const LOOKS_AT_ONCE = 8;
/** Time from one mishap to the next, and from one look at the memory to the next, in milliseconds. */
const MISHAP_EVERY_MS = 2_000;
const LOOK_EVERY_MS = 10_000;
const MINUTES = 2;
/** What may be there later and not at first: the journal's second file, the sum of what was not reported yet. */
const MORE = { files: 1, tensors: 1 } as const;
/** What is held after the first third may grow by, in MiB: a program that runs for minutes is still being compiled. */
const mostGrowth = (minutes: number): number => (minutes < 30 ? 2 : (2 / 3) * (minutes / 60));

/** What one program held at one moment. */
interface Look extends Usage {
  readonly residentMiB: number;
  readonly files: number;
}

export const chaos: Drill = {
  number: 37,
  title: `${PEERS} training peers, with a mishap every ${MISHAP_EVERY_MS / 1000} s, for ${MINUTES} minutes or as long as --minutes says`,
  promises: ['P1', 'P2', 'P7', 'P8', 'P9'],
  criterion: `after the first third, what the coordinator and the ${STEADY} peers that are never killed hold grows by less than 2 MiB, from 30 minutes on by less than 1 MiB an hour; open files and tensors by one at most; all counters sum`,
  long: true,
  async run(stage) {
    const minutes = stage.minutes ?? MINUTES;
    const random = createRandom(stage.seed, 'chaos');
    const coordinator = await stage.coordinator(
      {
        ...{ scripted: false, peers: PEERS, lease: '3s', maxWait: '1s' },
        args: ['--max-journal', '4MiB', '--epochs', '1000000', '--evaluate-every', '25'],
      },
      inspected(false),
    );
    const lines = await Promise.all(
      coordinator.names.slice(0, STEADY).map(() => stage.proxy(coordinator.url)),
    );
    const start = (i: number): Program => {
      const url = lines[i]?.url ?? coordinator.url;
      const name = coordinator.names[i]!;
      return stage.student(name, url, ['--name', name], inspected(true));
    };
    const peers = coordinator.names.map((_, i) => start(i));
    await coordinator.event('started');

    const watched = [coordinator, ...peers.slice(0, STEADY)];
    const looks = watched.map((): Look[] => []);
    const startedAt = performance.now();
    const elapsedMs = (): number => performance.now() - startedAt;
    let [mishaps, lookedAt] = [0, 0];
    while (elapsedMs() < minutes * 60_000) {
      await pass(MISHAP_EVERY_MS);
      mishaps += 1;
      await mishap(stage, random, { peers, lines, names: coordinator.names, start });
      if (elapsedMs() - lookedAt < LOOK_EVERY_MS) continue;
      lookedAt = elapsedMs();
      for (const [i, program] of watched.entries()) looks[i]!.push(await look(program));
    }
    const { rounds } = await poll(coordinator, () => true);
    const settled = looks.map((its) => its.slice(Math.floor(its.length / 3)));
    const growth = settled.map((its) => growthOf(its.map(({ liveMiB }) => liveMiB)));
    for (const [i, its] of settled.entries()) {
      const { name } = watched[i]!;
      stage.bound('P1', `what ${name} holds grows by`, growth[i]!, mostGrowth(minutes), 'MiB');
      for (const what of ['files', 'tensors'] as const) {
        const early = looks[i]!.slice(0, -its.length);
        const more = least(its, what) - least(early, what);
        stage.bound('P1', `${what} of ${name}, more than before`, more, MORE[what], '');
      }
    }
    const resident = settled.map((its) => growthOf(its.map(({ residentMiB }) => residentMiB)));
    const counts = (what: 'files' | 'tensors'): string => settled.map((its) => least(its, what)).join(', ');
    return {
      passed: rounds.committed > 10 * minutes && mishaps > 0,
      measured: [
        `${mishaps} mishaps, ${rounds.committed} rounds in ${minutes} minutes`,
        `held after the first third: coordinator ${signed(growth[0]!)} MiB, peers at most ${signed(Math.max(...growth.slice(1)))}`,
        `resident: ${signed(resident[0]!)} and ${signed(Math.max(...resident.slice(1)))} MiB`,
        `files ${counts('files')}`,
        `tensors ${counts('tensors')}`,
      ].join('; '),
    };
  },
};

interface Players {
  readonly peers: Program[];
  readonly lines: readonly FaultProxy[];
  readonly names: readonly string[];
  readonly start: (i: number) => Program;
}

/** Something goes wrong with a peer, and is over when this resolves. */
async function mishap(stage: Stage, random: Random, { peers, lines, names, start }: Players): Promise<void> {
  const i = random.below(PEERS);
  const ms = 100 + random.below(5_000);
  const line = lines[i];
  if (random.below(3) === 0) {
    stage.fault('stopped', names[i]);
    peers[i]!.kill('SIGSTOP');
    await pass(ms);
    peers[i]!.kill('SIGCONT');
  } else if (!line) {
    stage.fault('killed', names[i]);
    peers[i]!.kill('SIGKILL');
    await peers[i]!.exited;
    peers[i] = start(i);
  } else if (random.below(2) === 0) {
    stage.fault('cut', names[i]);
    line.reset();
  } else {
    stage.fault('blackhole', names[i]);
    line.set('both', { blackhole: true });
    await pass(ms);
    line.set('both', {});
  }
}

async function look(program: Program): Promise<Look> {
  const usages: Usage[] = [];
  // Within a step there are more tensors than between two.
  for (let i = 0; i < LOOKS_AT_ONCE; i++) usages.push(await usageOf(program));
  return {
    liveMiB: Math.min(...usages.map(({ liveMiB }) => liveMiB)),
    tensors: Math.min(...usages.map(({ tensors }) => tensors)),
    residentMiB: rssOf(program.pid),
    files: readdirSync(`/proc/${program.pid}/fd`).length,
  };
}

/** The least that was held at any look: a leak makes it grow, what comes and goes does not. */
const least = (looks: readonly Look[], what: keyof typeof MORE): number =>
  Math.min(...looks.map((each) => each[what]));

/** Along the line of least squares, from the first value to the last. */
const growthOf = (values: readonly number[]): number => slope(values) * (values.length - 1);

const signed = (value: number): string => `${value < 0 ? '' : '+'}${value.toFixed(2)}`;
