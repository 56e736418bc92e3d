import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { programPath } from '../../../src/paths.ts';
import type { RunSummary } from '../../../src/results/types.ts';
import type { Drill } from '../drill.ts';
import type { ProgramExtras, Stage } from '../stage.ts';

interface Training {
  readonly coordinator?: ProgramExtras;
  /** Of the peer that comes at this place. */
  readonly peer?: (place: number) => ProgramExtras;
  /** Where the peers go instead of to the coordinator itself. */
  readonly way?: (url: string) => Promise<string>;
}

/** Two students train to the end; what came out. */
async function train(
  stage: Stage,
  label: string,
  { coordinator: at = {}, peer, way }: Training = {},
): Promise<RunSummary> {
  const coordinator = await stage.coordinator(
    { scripted: false, peers: 2, maxWait: '20s', lease: '30s' },
    at,
  );
  const url = way ? await way(coordinator.url) : coordinator.url;
  const students = coordinator.names.map((name, i) =>
    stage.student(`${label}-${name}`, url, ['--name', name], peer?.(i)),
  );
  await Promise.all(students.map(({ exited }) => exited));
  await stage.collect(coordinator);
  return coordinator.summary();
}

/** The beginnings of the digests of the peers' weights. */
export const digestsOf = (summary: RunSummary): string =>
  summary.peers.map(({ weightsDigest }) => weightsDigest?.slice(0, 8) ?? 'none').join(' ');

function sameWeights(usual: RunSummary, other: RunSummary): { passed: boolean; measured: string } {
  const [a, b] = [digestsOf(usual), digestsOf(other)];
  const missed = Object.values(other.exchange.missed).reduce((sum, times) => sum + times, 0);
  return {
    passed: a === b && !a.includes('none') && missed === 0 && other.exchange.rounds > 0,
    measured: `weights ${a}, and ${a === b ? 'the same' : b} after ${other.exchange.rounds} rounds`,
  };
}

export const sliced: Drill = {
  number: 13,
  title: 'a network that delivers 1 to 7 bytes at a time',
  promises: ['P5'],
  criterion: 'two trainings end with the same weights, bit for bit',
  async run(stage) {
    const usual = await train(stage, 'usual');
    const other = await train(stage, 'sliced', {
      async way(url) {
        const proxy = await stage.proxy(url);
        proxy.set('both', { slice: 7 });
        return proxy.url;
      },
    });
    return sameWeights(usual, other);
  },
};

export const clocks: Drill = {
  number: 25,
  title: 'clocks: one peer an hour ahead, one an hour behind, the coordinator jumping between both',
  promises: ['P5', 'P7'],
  criterion: 'the training ends with the same weights as with right clocks, bit for bit',
  async run(stage) {
    const clock = (off: string): ProgramExtras => ({
      env: { DRILL_CLOCK: off },
      nodeFlags: ['--import', pathToFileURL(programPath('test/drills/skew.js')).href],
    });
    const usual = await train(stage, 'usual');
    const other = await train(stage, 'skewed', {
      coordinator: clock('jumps'),
      peer: (place) => clock(place === 0 ? '3600000' : '-3600000'),
    });
    return sameWeights(usual, other);
  },
};

export const throwing: Drill = {
  number: 34,
  title: 'a peer whose computing fails in the midst of training',
  promises: ['P2', 'P8', 'P9'],
  criterion: 'it leaves at once and says why; the others finish, and the run says that one did not',
  async run(stage) {
    const model = join(stage.folder, 'failing.mjs');
    writeFileSync(model, FAILING_MODEL);
    const coordinator = await stage.coordinator({ scripted: false, lease: '1s', maxWait: '900ms' });
    const [failing, ...others] = coordinator.names.map((name, i) =>
      stage.student(name, coordinator.url, ['--name', name, ...(i === 0 ? ['--model', model] : [])]),
    );
    const said = await failing!.logged(/out of memory/);
    const codes = await Promise.all([failing!, ...others].map(({ exited }) => exited));
    const exit = await coordinator.exited;
    const summary = coordinator.summary();
    const outcomes = summary.peers.map(({ outcome }) => outcome);
    return {
      passed: `${outcomes}` === 'lost,finished,finished' && codes[0] !== 0 && codes[1] === 0 && exit === 7,
      measured: `"${said.slice(0, 60)}"; exit codes ${codes.join(', ')}; coordinator ${exit}`,
    };
  },
};

/** A model of the user's own that works for a while. */
const FAILING_MODEL = `
const { createModel } = await import(${JSON.stringify(pathToFileURL(programPath('src/models/index.js')).href)});
export default (options) => {
  const model = createModel('mlp', options);
  let calls = 0;
  return {
    ...model,
    forward(images, training) {
      if (training && ++calls > 12) throw new Error('out of memory on the device');
      return model.forward(images, training);
    },
  };
};
`;

export const trainings: readonly Drill[] = [sliced, clocks, throwing];
