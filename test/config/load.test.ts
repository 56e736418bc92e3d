import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadExperiment, type Override } from '../../src/config/load.ts';
import { METHODS } from '../../src/config/methods.ts';
import { UsageError } from '../../src/errors.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'codistill-config-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function load(text: string, overrides?: readonly Override[]) {
  const file = join(folder, 'my.yaml');
  await writeFile(file, text);
  return loadExperiment(file, overrides);
}

/** The lines of the error that `text` is refused with, without the folder. */
async function problemsOf(text: string, overrides?: readonly Override[]): Promise<string[]> {
  const error = await load(text, overrides).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(UsageError);
  return (error as UsageError).message.replaceAll(join(folder, 'my.yaml'), 'my.yaml').split('\n');
}

const labelNoise = (value: unknown): Override => ({
  path: ['data', 'labelNoise'],
  value,
  origin: '--label-noise',
});

describe('loadExperiment', () => {
  it('reads a file and fills in the defaults', async () => {
    const { experiment, source } = await load('name: mine\ndata: {labelNoise: 0.3}\n');
    expect(source).toBe(join(folder, 'my.yaml'));
    expect(experiment).toMatchObject({ name: 'mine', data: { labelNoise: 0.3, batchSize: 64 } });
  });

  it('takes an empty file, or none, as all defaults', async () => {
    const { experiment, source } = await loadExperiment(undefined);
    expect(source).toBeUndefined();
    expect((await load('')).experiment).toEqual(experiment);
    expect((await load('# nothing yet\n')).experiment).toEqual(experiment);
  });

  it('finds a ready experiment by its bare name', async () => {
    const { experiment, source } = await loadExperiment('quickstart');
    expect(experiment.name).toBe('quickstart');
    expect(source).toMatch(/src\/experiments\/quickstart\.yaml$/);
  });

  it('suggests the nearest name for one that is not there', async () => {
    await expect(loadExperiment('quickstrat')).rejects.toThrow(
      /^Unknown experiment "quickstrat"; did you mean "quickstart"\? Known: .*quickstart.*\. A file of your own is given by its path, such as \.\/quickstrat\.yaml\.$/,
    );
  });

  it('says that a file is missing or cannot be read', async () => {
    await expect(loadExperiment('no/such.yaml')).rejects.toThrow(
      'There is no experiment file "no/such.yaml".',
    );
    await expect(loadExperiment(folder)).rejects.toThrow(`Cannot read "${folder}": EISDIR`);
  });

  it('puts overrides in place of what the file says, also in sections that it does not have', async () => {
    const overrides = [labelNoise(0.1), { path: ['exchange', 'quorum'], value: 'all', origin: '--quorum' }];
    const { experiment } = await load('data:\n  labelNoise: 0.3\n  batchSize: 32\n', overrides);
    expect(experiment.data).toMatchObject({ labelNoise: 0.1, batchSize: 32 });
    expect(experiment.exchange.quorum).toBe('all');
  });
});

describe('a wrong experiment', () => {
  it('is refused with the line, the key, what was expected and what came', async () => {
    expect(await problemsOf('name: mine\n\ndata:\n  labelNoise: 3\n')).toEqual([
      'my.yaml:4: data.labelNoise: expected a number from 0 to 1, got 3',
    ]);
  });

  it('is refused with all its problems, and not only the first', async () => {
    const text = 'seed: -1\ndata:\n  batchSize: 1.5\n  lableNoise: 0.3\ntraining: 3\n';
    expect(await problemsOf(text)).toEqual([
      'my.yaml:1: seed: expected a whole number of at least 0, got -1',
      'my.yaml:3: data.batchSize: expected a whole number of at least 1, got 1.5',
      'my.yaml:4: unknown key "data.lableNoise"; did you mean "labelNoise"? ' +
        'Known: dataset, trainSize, testSize, labelNoise, batchSize, augment, view.',
      'my.yaml:5: training: expected a map of keys and values, got 3',
    ]);
  });

  it.each([
    ['temperature: 3', 'unknown key "temperature"; did you mean "distill.temperature"? '],
    ['seeds: 3', 'unknown key "seeds"; did you mean "seed"? '],
    ['xyz: 3', 'unknown key "xyz". '],
  ])('has the unknown key of "%s" answered with the key that may be meant', async (text, message) => {
    const known = 'Known: name, seed, data, training, distill, exchange, peers, compare.';
    expect(await problemsOf(text)).toEqual([`my.yaml:1: ${message}${known}`]);
  });

  it.each([
    [
      'name: a b',
      'name: expected a name of at most 48 letters, digits, ".", "_" and "-", a letter or digit first, got "a b"',
    ],
    [
      `peers: [{model: mlp, name: ${'a'.repeat(65)}}]`,
      `peers[0].name: expected a name of at most 64 letters, digits, ".", "_" and "-", a letter or digit first, got "${'a'.repeat(60)}..."`,
    ],
    [
      'name: 2024',
      'name: expected a name of at most 48 letters, digits, ".", "_" and "-", a letter or digit first, got 2024',
    ],
    ['seed: ', 'seed: expected a whole number of at least 0, got null'],
    ['data: {dataset: mnist}', 'data.dataset: expected fashion-mnist, cifar-10 or cifar-100, got "mnist"'],
    ['data: {augment: true}', 'data.augment: expected none or crop-flip, got true'],
    ['data: []', 'data: expected a map of keys and values, got an empty list'],
    ['training: {clipNorm: 0}', 'training.clipNorm: expected a number above 0, or none, got 0'],
    ['training: {milestones: [0]}', 'training.milestones[0]: expected a whole number of at least 1, got 0'],
    [
      'training: {optimizer: {name: lamb}}',
      'training.optimizer.name: expected sgd, adam or adamw, got "lamb"',
    ],
    [
      'distill: {rampUpShape: tanh}',
      'distill.rampUpShape: expected linear, sigmoid, cosine or growth, got "tanh"',
    ],
    [
      'training: {optimizer: {momentum: 1}}',
      'training.optimizer.momentum: expected a number from 0 to below 1, got 1',
    ],
    ['training: {optimizer: {nesterov: 1}}', 'training.optimizer.nesterov: expected true or false, got 1'],
    [
      'training: {optimizer: {learningRate: .nan}}',
      'training.optimizer.learningRate: expected a number above 0, got NaN',
    ],
    ['distill: {temperature: 0}', 'distill.temperature: expected a number above 0, got 0'],
    ['distill: {kdWeight: {}}', 'distill.kdWeight: expected a number of at least 0, got a map'],
    ['exchange: {mode: bank}', 'exchange.mode: expected lockstep or checkpoint, got "bank"'],
    [
      'distill: {options: [beta]}',
      'distill.options: expected options of the method, such as {beta: 8}; see codistill methods, got a list',
    ],
    [
      'exchange: {quorum: most}',
      'exchange.quorum: expected a whole number of at least 1, or all, got "most"',
    ],
    [
      'exchange: {maxWait: 10 s}',
      'exchange.maxWait: expected a duration such as 10s, 500ms or 2m, at most 24 days, got "10 s"',
    ],
    [
      'exchange: {lease: 0s}',
      'exchange.lease: expected a duration such as 10s, 500ms or 2m, at most 24 days, got "0s"',
    ],
    [
      'exchange: {lease: 5s}',
      'exchange.maxWait: expected less than exchange.lease (5000 ms), as a round goes on without a silent peer before that loses its place, got 10000 ms',
    ],
    ['peers: []', 'peers: expected a list of at least one peer, each with its model, got an empty list'],
    ['peers: cnn-s', 'peers: expected a list of at least one peer, each with its model, got "cnn-s"'],
    [
      'peers: [{count: 2}]',
      'peers[0].model: expected the name of a model, or the path of a module that exports one, at most 128 characters, got nothing',
    ],
    ['peers: [{model: cnn-s, count: 0}]', 'peers[0].count: expected a whole number from 1 to 1024, got 0'],
    [
      'compare: independent',
      'compare: expected a list, each item the name of a method, or the path of a module that exports one, got "independent"',
    ],
    [
      'compare: [dmll]',
      `compare[0]: unknown method "dmll"; did you mean "dml"? Known: ${METHODS.join(', ')}.`,
    ],
    [
      'distill: {method: pkd}',
      `distill.method: unknown method "pkd"; did you mean "kd"? Known: ${METHODS.join(', ')}.`,
    ],
    ['[]', 'expected a map of keys and values, got an empty list'],
  ])('such as "%s" is refused in plain words', async (text, message) => {
    expect(await problemsOf(text)).toEqual([`my.yaml:1: ${message}`]);
  });

  it.each([
    ['data: {trainSize: 10}', 'data.batchSize: expected at most data.trainSize (10), got 64'],
    [
      'peers: [{model: cnn-s}]',
      'distill.method: "dml" learns from other peers, and there is only one; use "self-ema", or add a peer',
    ],
    [
      'exchange: {quorum: 2}',
      "exchange.quorum: expected at most 1, the number of each student's teachers, got 2",
    ],
    [
      '{data: {trainSize: 640}, training: {epochs: 15}}',
      'distill.burnInSteps: expected less than the 150 steps of this training, or nobody would teach, got 150',
    ],
    [
      'training: {optimizer: {momentum: 0, nesterov: true}}',
      'training.optimizer.nesterov: expected false without momentum, got true',
    ],
    [
      'training: {optimizer: {name: adam, momentum: 0.9}}',
      'training.optimizer.momentum: belongs to sgd, and the optimizer is adam',
    ],
    [
      'training: {optimizer: {name: adam, decoupled: true}}',
      'training.optimizer.decoupled: belongs to sgd, and the optimizer is adam; adamw is adam with decoupled weight decay',
    ],
    [
      'training: {optimizer: {beta2: 0.99}}',
      'training.optimizer.beta2: belongs to adam and adamw, and the optimizer is sgd',
    ],
    ['training: {schedule: step}', 'training.milestones: expected at least one for training.schedule step'],
    [
      'training: {optimizer: {weightDecaySchedule: milestones}}',
      'training.milestones: expected at least one for training.optimizer.weightDecaySchedule',
    ],
    [
      'training: {milestones: [10]}',
      'training.milestones: expected none with training.schedule cosine, where nothing falls at them',
    ],
    [
      'training: {decayFactor: 0.5}',
      'training.decayFactor: belongs to training.schedule step, and the schedule is cosine',
    ],
    [
      'training: {schedule: step, milestones: [10, 10]}',
      'training.milestones[1]: expected an epoch from 11 to 24, got 10',
    ],
    [
      'training: {schedule: step, epochs: 20, milestones: [20]}',
      'training.milestones[0]: expected an epoch from 1 to 19, got 20',
    ],
    [
      '{exchange: {mode: checkpoint}, compare: [at]}',
      'compare[0]: "at" needs more of other peers than copies of them give, the mean of their probabilities: use exchange.mode lockstep',
    ],
    [
      '{exchange: {mode: checkpoint}, distill: {methods: [{name: kd}, {name: okddip}]}}',
      'distill.methods[1].name: "okddip" needs more of other peers than copies of them give, the mean of their probabilities: use exchange.mode lockstep',
    ],
    [
      'exchange: {mode: checkpoint, ensemble: best}',
      'exchange.ensemble: expected mean-probabilities with exchange.mode checkpoint, got best',
    ],
    [
      `peers: [{model: mlp, count: 10, name: ${'a'.repeat(62)}}]`,
      'peers[0].name: expected at most 61 characters, to be numbered up to 10, got 62',
    ],
    ['compare: [dml]', 'compare[0]: "dml" is distill.method already'],
    ['compare: [independent, independent]', 'compare: "independent" is there twice'],
    [
      '{peers: [{model: mlp}], distill: {method: self-ema}, compare: [dml]}',
      'compare[0]: "dml" learns from other peers, and there is only one; use "self-ema", or add a peer',
    ],
    [
      'peers: [{model: mlp, name: cnn-s-2}, {model: cnn-s, count: 2}]',
      'peers: two peers have the name "cnn-s-2"',
    ],
    [
      'peers: [{model: mlp, count: 1024}, {model: cnn-s}]',
      'peers: expected at most 1024 peers in all, got 1025',
    ],
  ])('is refused when its values do not go together: "%s"', async (text, message) => {
    expect(await problemsOf(text)).toEqual([`my.yaml:1: ${message}`]);
  });

  it('has the line of the list item that is wrong', async () => {
    const text = 'peers:\n  - model: cnn-s\n  - model: lenet5\n    count: none\n  - modle: x\n';
    expect(await problemsOf(text)).toEqual([
      'my.yaml:4: peers[1].count: expected a whole number from 1 to 1024, got "none"',
      'my.yaml:5: peers[2].model: expected the name of a model, or the path of a module that exports one, at most 128 characters, got nothing',
      'my.yaml:5: unknown key "peers[2].modle"; did you mean "model"? Known: model, count, name, role, weights, backend.',
    ]);
  });

  it('has the line of the key when its value stands below it', async () => {
    expect(await problemsOf('data:\n  labelNoise:\n    3\n')).toEqual([
      'my.yaml:2: data.labelNoise: expected a number from 0 to 1, got 3',
    ]);
  });

  it('that is not YAML is refused with the line', async () => {
    expect(await problemsOf('seed: 1\ndata: {labelNoise: 0.3\n')).toEqual([
      expect.stringMatching(/^my\.yaml:[23]: not valid YAML: /),
    ]);
    expect(await problemsOf('seed: 1\nseed: 2\n')).toEqual([
      'my.yaml:2: not valid YAML: Map keys must be unique',
    ]);
    expect(await problemsOf('data: *other\n')).toEqual([
      expect.stringMatching(/not valid YAML: Unresolved alias/),
    ]);
  });

  it('is refused with the origin of the override that makes it wrong', async () => {
    expect(await problemsOf('seed: -1\ndata: {labelNoise: 0.3}\n', [labelNoise(3)])).toEqual([
      'my.yaml:1: seed: expected a whole number of at least 0, got -1',
      '--label-noise: expected a number from 0 to 1, got 3',
    ]);
    await expect(loadExperiment(undefined, [labelNoise('much')])).rejects.toThrow(
      '--label-noise: expected a number from 0 to 1, got "much"',
    );
  });

  it('without a file is refused with the key alone', async () => {
    const trainSize = { path: ['data', 'trainSize'], value: 10, origin: '--train-size' };
    await expect(loadExperiment(undefined, [trainSize])).rejects.toThrow(
      /^data\.batchSize: expected at most data\.trainSize \(10\), got 64$/,
    );
  });
});
