import { describe, expect, it } from 'vitest';
import { type DistillSettings, objectiveFrom } from '../../src/distill/fromSettings.ts';

const settings = (changes: Partial<DistillSettings>): DistillSettings => ({
  ...{ method: 'dml', options: {}, standardise: false, burnInSteps: 0 },
  ...changes,
});

describe('the loss of an experiment', () => {
  it('has the options and weights of the method, unless it says others', () => {
    const own = objectiveFrom(settings({ method: 'kd' }));
    expect(own).toMatchObject({ ceWeight: 0.1, teachers: 'peers' });
    expect(own.terms[0]).toMatchObject({ weight: 0.9, options: { temperature: 4 } });
    const told = objectiveFrom(settings({ method: 'kd', temperature: 3, ceWeight: 1, kdWeight: 2 }));
    expect(told).toMatchObject({ ceWeight: 1, terms: [{ weight: 2, options: { temperature: 3 } }] });
  });

  it('adds up several methods, the temperature given to those that have one', () => {
    const methods = [
      { name: 'kd', weight: 0.5, options: {} },
      { name: 'crd', options: { negatives: 8 } },
    ];
    const { terms } = objectiveFrom(settings({ methods, temperature: 2 }));
    expect(terms.map(({ method, weight }) => [method.name, weight])).toEqual([
      ['kd', 0.5],
      ['crd', 0.8],
    ]);
    expect(terms[0]!.options).toEqual({ temperature: 2 });
    expect(terms[1]!.options).toMatchObject({ negatives: 8 });
  });

  it.each([
    [
      { method: 'dkd', options: { betta: 2 } },
      /^Options of dkd: there is no option "betta"; did you mean "beta"\? Known: temperature, alpha, beta, warmUpEpochs\.$/,
    ],
    [
      { method: 'dkd', options: { beta: -1, temperature: 'warm' } },
      /^Options of dkd: temperature: .*number.*, got "warm"\. beta: Too small: .*, got -1\. Known: temperature, alpha, beta, warmUpEpochs\.$/,
    ],
    [
      { method: 'at', options: { layers: ['stage1', 3] } },
      /^Options of at: layers\.1: .*, got 3\. Known: layers\.$/,
    ],
    [
      { method: 'independent', options: { beta: 1 } },
      /^Options of independent: there is no option "beta"\. It has none\.$/,
    ],
    [
      {
        methods: [
          { name: 'kd', options: {} },
          { name: 'self-ema', options: {} },
        ],
      },
      /kd, self-ema cannot be combined/,
    ],
    [{ method: 'ab', burnInSteps: 150 }, /burnInSteps: expected 0 with ab/],
  ] as const)('refuses %j', (changes, message) => {
    expect(() => objectiveFrom(settings(changes as Partial<DistillSettings>))).toThrow(message);
  });
});
