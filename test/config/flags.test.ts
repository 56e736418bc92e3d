import { Command } from 'commander';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { addExperimentOptions, experimentFlags, overridesFrom } from '../../src/config/flags.ts';
import { loadExperiment } from '../../src/config/load.ts';
import { experimentSchema } from '../../src/config/schema.ts';

/** Options of the programs themselves, which no setting may take. */
const taken = [
  '--dir',
  '--host',
  '--port',
  '--token-file',
  '--tls-cert',
  '--tls-key',
  '--coordinator',
  '--model',
  '--backend',
  '--data-dir',
  '--download',
  '--json',
  '--log-level',
  '--resume',
  '--help',
  '--version',
];

function commandWith(...args: string[]): Command {
  const command = new Command('run').argument('[experiment]');
  addExperimentOptions(command);
  return command.parse(args, { from: 'user' });
}

function load(...args: string[]) {
  return loadExperiment('quickstart', overridesFrom(commandWith(...args)));
}

/** Paths of everything in `value` that is not a map with keys of its own, such as `data.labelNoise`. */
function leavesOf(value: object, prefix = ''): string[] {
  return Object.entries(value).flatMap(([key, child]) =>
    child !== null && typeof child === 'object' && !Array.isArray(child) && Object.keys(child).length > 0
      ? leavesOf(child, `${prefix}${key}.`)
      : [`${prefix}${key}`],
  );
}

afterEach(() => vi.unstubAllEnvs());

describe('experimentFlags', () => {
  it('covers every key of a resolved experiment', () => {
    const optional = {
      training: { schedule: 'step', milestones: [10], decayFactor: 0.5 },
      data: { trainSize: 1000, testSize: 1000 },
      distill: { temperature: 1, ceWeight: 1, kdWeight: 1 },
      exchange: { ensemble: 'apart' },
    };
    // Of the ways to name methods, an experiment has one, and one optimizer.
    const others = [
      { distill: { methods: [{ name: 'dml' }] } },
      { training: { optimizer: { name: 'adam' } } },
    ];
    const full = [optional, ...others].map((each) => leavesOf(experimentSchema.parse(each)));
    const covered = experimentFlags().map(({ setting }) => setting.path.join('.'));
    expect(covered.toSorted()).toEqual([...new Set(full.flat())].toSorted());
  });

  it('has no name twice, and none of an option of the programs', () => {
    const flags = experimentFlags().map(({ flag }) => flag);
    const variables = experimentFlags().map(({ variable }) => variable);
    expect(new Set([...flags, ...taken]).size).toBe(flags.length + taken.length);
    expect(new Set(variables).size).toBe(variables.length);
  });

  it('names flags and variables after the last key, and the optimizer after its section', () => {
    const names = experimentFlags().map(({ setting, flag, variable }) => [
      setting.path.join('.'),
      flag,
      variable,
    ]);
    expect(names).toContainEqual(['name', '--name', 'CODISTILL_NAME']);
    expect(names).toContainEqual(['data.labelNoise', '--label-noise', 'CODISTILL_LABEL_NOISE']);
    expect(names).toContainEqual(['training.optimizer.name', '--optimizer', 'CODISTILL_OPTIMIZER']);
    expect(names).toContainEqual(['exchange.maxWait', '--max-wait', 'CODISTILL_MAX_WAIT']);
  });
});

describe('addExperimentOptions', () => {
  it('shows each option under the heading of its section with its values, default and variable', () => {
    const command = commandWith();
    command.configureHelp({ helpWidth: 300 });
    const help = command.helpInformation().replace(/ {2,}/g, '  ');
    const headings = help.match(/^\w+:$/gm);
    expect(headings).toEqual(['Experiment:', 'Data:', 'Training:', 'Distill:', 'Exchange:', 'Options:']);
    expect(help).toContain(
      '--codec <value>  encoding of logits on the wire (float16 or float32; default float16) (env: CODISTILL_CODEC)',
    );
    expect(help).toContain(
      '--peers <value>  students of the run (models with commas between, such as 2xcnn-s,resnet8; default 2xcnn-s) (env: CODISTILL_PEERS)',
    );
    expect(help).toContain(
      'for comparison (methods with commas between, such as independent,dml) (env: CODISTILL_COMPARE)',
    );
    expect(help).toContain(
      '--options <value>  what else the method can be told (names and values with commas between, such as beta=8,alpha=1) (env: CODISTILL_OPTIONS)',
    );
  });
});

describe('overridesFrom', () => {
  it('holds only what was given', () => {
    expect(overridesFrom(commandWith('quickstart', '--label-noise', '0.1'))).toEqual([
      { path: ['data', 'labelNoise'], value: 0.1, origin: '--label-noise' },
    ]);
  });

  it('lets a flag win over a variable, a variable over the file, and the file over the default', async () => {
    vi.stubEnv('CODISTILL_SEED', '7');
    vi.stubEnv('CODISTILL_TRAIN_SIZE', '500');
    const { experiment } = await load('--seed', '9');
    expect(experiment.seed).toBe(9);
    expect(experiment.data.trainSize).toBe(500);
    expect(experiment.compare).toEqual(['independent']);
    expect(experiment.training.clipNorm).toBe(5);
  });

  it('takes an empty variable as one that is not set', () => {
    vi.stubEnv('CODISTILL_SEED', '');
    expect(overridesFrom(commandWith())).toEqual([]);
  });

  it('reads peers and counts, and lists of methods', async () => {
    const { experiment } = await load(
      '--peers',
      '2xcnn-s, ./nets/my.js',
      '--compare',
      'self-ema,independent',
    );
    expect(experiment.peers).toEqual([
      { model: 'cnn-s', count: 2, role: 'student', backend: 'auto' },
      { model: './nets/my.js', count: 1, role: 'student', backend: 'auto' },
    ]);
    expect(experiment.compare).toEqual(['self-ema', 'independent']);
    expect((await load('--compare', '')).experiment.compare).toEqual([]);
  });

  it('reads options of a method as a file would have them', async () => {
    const text = 'beta=8, alpha=-1.5,normalised=true,loss=mse,layers=[stage1,stage2],from=null';
    const { experiment } = await load('--options', text);
    expect(experiment.distill.options).toEqual({
      ...{ beta: 8, alpha: -1.5, normalised: true, loss: 'mse', layers: ['stage1', 'stage2'], from: null },
    });
    expect((await load('--options', '')).experiment.distill.options).toEqual({});
    await expect(load('--options', 'beta=[8')).rejects.toThrow(
      '--options: expected options of the method, such as {beta: 8}; see codistill methods, got "beta=[8"',
    );
  });

  it('reads the epochs of milestones', async () => {
    const { experiment } = await load('--schedule', 'step', '--milestones', '10,20');
    expect(experiment.training).toMatchObject({ schedule: 'step', milestones: [10, 20] });
    await expect(load('--schedule', 'step', '--milestones', '10,x')).rejects.toThrow(
      '--milestones: expected a whole number of at least 1, got NaN',
    );
  });

  it('reads several methods, each with its weight if need be', async () => {
    vi.stubEnv('CODISTILL_METHODS', 'kd, crd=0.8');
    const loadDefaults = (...args: string[]) =>
      loadExperiment(undefined, overridesFrom(commandWith(...args)));
    expect((await loadDefaults()).experiment.distill.methods).toEqual([
      { name: 'kd', options: {} },
      { name: 'crd', weight: 0.8, options: {} },
    ]);
    await expect(loadDefaults('--methods', 'kd=much')).rejects.toThrow(
      '--methods: expected a number of at least 0, got NaN',
    );
  });

  it('reads numbers, truth values, durations and words as a file would have them', async () => {
    const args = ['--nesterov', 'true', '--weight-decay', '1e-3', '--max-wait', '2m', '--clip-norm', 'none'];
    const { experiment } = await load(...args, '--quorum', 'all', '--name', '2024');
    expect(experiment.training).toMatchObject({
      optimizer: { nesterov: true, weightDecay: 0.001 },
      clipNorm: null,
    });
    expect(experiment.exchange).toMatchObject({ maxWait: 120_000, quorum: 'all' });
    expect(experiment.name).toBe('2024');
  });

  it('has a wrong value refused with the name of the flag or the variable', async () => {
    vi.stubEnv('CODISTILL_EPOCHS', 'many');
    await expect(load('--batch-size', '0', '--peers', 'cnn-s,0xlenet5')).rejects.toThrow(
      [
        '--batch-size: expected a whole number of at least 1, got 0',
        'CODISTILL_EPOCHS: expected a whole number of at least 1, got "many"',
        '--peers: expected a whole number from 1 to 1024, got 0',
      ].join('\n'),
    );
  });
});
