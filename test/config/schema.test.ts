import { describe, expect, it } from 'vitest';
import { experimentSchema, runSettings, runSettingsSchema } from '../../src/config/schema.ts';

const defaults = {
  name: 'experiment',
  seed: 0,
  data: { dataset: 'fashion-mnist', labelNoise: 0, batchSize: 64, augment: 'none', view: 'shared' },
  training: {
    epochs: 25,
    optimizer: {
      name: 'sgd',
      ...{ learningRate: 0.02, momentum: 0.9, nesterov: false },
      ...{ weightDecay: 5e-4, decoupled: false, decayNormAndBias: true, weightDecaySchedule: 'constant' },
    },
    schedule: 'cosine',
    warmUpSteps: 0,
    clipNorm: 5,
    evaluateEvery: 1,
    report: 'last',
  },
  distill: {
    method: 'dml',
    options: {},
    standardise: false,
    burnInSteps: 150,
    rampUpSteps: 50,
    rampUpShape: 'linear',
  },
  exchange: {
    mode: 'lockstep',
    checkpointEvery: 50,
    codec: 'float16',
    allowFeatureMaps: false,
    quorum: 1,
    maxWait: 10_000,
    lease: 30_000,
    onCoordinatorLoss: 'continue',
  },
  peers: [{ model: 'cnn-s', count: 2, role: 'student', backend: 'auto' }],
  compare: [],
};

describe('experimentSchema', () => {
  it('fills in every default', () => {
    expect(experimentSchema.parse({})).toEqual(defaults);
  });

  it('fills in the rest of a section that is given in part', () => {
    const { data } = experimentSchema.parse({ data: { labelNoise: 0.3 } });
    expect(data).toEqual({ ...defaults.data, labelNoise: 0.3 });
  });

  it.each([
    ['adam', 0],
    ['adamw', 0.01],
  ])('fills in what %s has, and nothing of sgd', (name, weightDecay) => {
    const { training } = experimentSchema.parse({ training: { optimizer: { name, beta1: 0.8 } } });
    expect(training.optimizer).toEqual({
      ...{ name, weightDecay, learningRate: 1e-3, beta1: 0.8, beta2: 0.999, epsilon: 1e-8 },
      ...{ decayNormAndBias: true, weightDecaySchedule: 'constant' },
    });
  });

  it.each(['none', null])('resolves clipNorm %s to null', (clipNorm) => {
    expect(experimentSchema.parse({ training: { clipNorm } }).training.clipNorm).toBeNull();
  });

  it('resolves durations to milliseconds', () => {
    const { exchange } = experimentSchema.parse({ exchange: { maxWait: '500ms', lease: 60_000 } });
    expect(exchange).toMatchObject({ maxWait: 500, lease: 60_000 });
    // Without a deadline for rounds there is nothing that has to come before the end of the lease.
    const patient = { quorum: 'all', maxWait: '2m', lease: '1s' };
    expect(experimentSchema.parse({ exchange: patient }).exchange).toMatchObject({ lease: 1_000 });
    expect(experimentSchema.safeParse({ exchange: { ...patient, mode: 'checkpoint' } }).success).toBe(false);
  });

  it('reads a resolved experiment as the same experiment', () => {
    const experiment = experimentSchema.parse({
      data: { trainSize: 1000 },
      training: { clipNorm: 'none', optimizer: { name: 'adamw' }, schedule: 'step', milestones: [10, 20] },
      exchange: { quorum: 'all' },
    });
    expect(experimentSchema.parse(JSON.parse(JSON.stringify(experiment)))).toEqual(experiment);
  });
});

describe('runSettings', () => {
  it('keeps the sections that all peers share, and nothing of one peer', () => {
    const settings = runSettings(experimentSchema.parse({}));
    expect(Object.keys(settings)).toEqual(['seed', 'data', 'training', 'distill', 'exchange']);
    expect(runSettingsSchema.parse(settings)).toEqual(settings);
  });

  it('refuses a section that it does not know', () => {
    const settings = { ...runSettings(experimentSchema.parse({})), bank: {} };
    expect(runSettingsSchema.safeParse(settings).success).toBe(false);
  });
});
