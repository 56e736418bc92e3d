import { readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { loadBackend } from '../../src/backend/select.ts';
import { createOptimizer, type OptimizerSettings } from '../../src/training/createOptimizer.ts';
import type { Optimizer } from '../../src/training/optimizer.ts';
import { expectClose, expectNoLeak } from '../support/tensors.ts';

/** As test/fixtures/optimizers/make.py writes it. */
interface Case {
  readonly name: string;
  readonly options: object;
  readonly parameters: readonly {
    readonly name: string;
    readonly shape: number[];
    readonly values: number[];
  }[];
  readonly steps: readonly {
    readonly learningRate: number;
    readonly decayShare: number;
    readonly gradients: readonly number[][];
  }[];
  readonly expected: readonly (readonly number[][])[];
}

const NAMES = ['sgd', 'adam', 'adamw'] as const;
const casesOf = (name: string): readonly Case[] => {
  const file = new URL(`../fixtures/optimizers/${name}.json`, import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { cases: Case[] }).cases;
};

beforeAll(async () => {
  await loadBackend('wasm');
});

const settingsOf = (name: string, options: object) => ({ name, ...options }) as OptimizerSettings;

/** The parameters of a case as variables, and the gradients of its steps. */
function given({ parameters, steps }: Case) {
  const variables = new Map(
    parameters.map(({ name, shape, values }) => [
      name,
      tf.tidy(() => tf.variable(tf.tensor(values, shape, 'float32'))),
    ]),
  );
  const gradientsAt = (step: number) =>
    steps[step]!.gradients.map((values, i) => tf.tensor(values, parameters[i]!.shape, 'float32'));
  return { variables, gradientsAt };
}

/** Takes the steps from `from` on; the gradients are gone afterwards. */
function take(optimizer: Optimizer, golden: Case, from = 0, to = golden.steps.length): void {
  const { gradientsAt, variables } = given(golden);
  tf.dispose([...variables.values()]);
  for (let step = from; step < to; step++) {
    const { learningRate, decayShare } = golden.steps[step]!;
    const gradients = gradientsAt(step);
    optimizer.apply(gradients, learningRate, step, decayShare);
    tf.dispose(gradients);
  }
}

const valuesOf = (variables: ReadonlyMap<string, tf.Variable>) =>
  [...variables.values()].map((variable) => [...variable.dataSync()]);

describe.each(NAMES)('%s', (name) => {
  const cases = casesOf(name);

  it.each(cases)('$name takes the steps of torch.optim', (golden) => {
    const { variables } = given(golden);
    const optimizer = createOptimizer(variables, settingsOf(name, golden.options));
    for (const [step, expected] of golden.expected.entries()) {
      take(optimizer, golden, step, step + 1);
      for (const [i, values] of valuesOf(variables).entries()) expectClose(values, expected[i]!, 1e-5);
    }
  });

  it('goes on from its parameters, its slots and the number of its steps as if nothing had been', () => {
    const golden = cases[2]!;
    const settings = settingsOf(name, golden.options);
    const [straight, first, second] = [given(golden), given(golden), given(golden)].map(
      ({ variables }) => variables,
    );
    take(createOptimizer(straight!, settings), golden);
    const before = createOptimizer(first!, settings);
    take(before, golden, 0, 4);
    const after = createOptimizer(second!, settings);
    for (const [key, variable] of second!) variable.assign(first!.get(key)!);
    expect([...after.slots.keys()]).toEqual([...before.slots.keys()]);
    for (const [key, slot] of after.slots) slot.assign(before.slots.get(key)!);
    take(after, golden, 4);
    expect(valuesOf(second!)).toEqual(valuesOf(straight!));
  });

  it('has slots that are called after the parameters', () => {
    const { variables } = given(cases[1]!);
    const { slots } = createOptimizer(variables, settingsOf(name, cases[1]!.options));
    const kinds = name === 'sgd' ? ['velocity'] : ['gradients', 'squares'];
    expect([...slots.keys()]).toEqual(
      kinds.flatMap((kind) => [...variables.keys()].map((parameter) => `${parameter}.${kind}`)),
    );
    for (const [key, slot] of slots) {
      expect(slot.shape).toEqual(variables.get(key.slice(0, key.lastIndexOf('.')))!.shape);
    }
  });

  it('leaves a parameter without a gradient, and its slots, as they are', () => {
    const golden = cases.find(({ options }) => 'weightDecay' in options && options.weightDecay !== 0)!;
    const { variables, gradientsAt } = given(golden);
    const optimizer = createOptimizer(variables, settingsOf(name, { ...golden.options, momentum: 0.9 }));
    take(optimizer, golden, 0, 2);
    const [parameters, slots] = [valuesOf(variables), valuesOf(optimizer.slots)];
    const gradients = gradientsAt(2);
    optimizer.apply(
      gradients.map((gradient, i) => (i === 1 ? gradient : null)),
      0.1,
      2,
    );
    const count = parameters.length;
    for (const [i, values] of valuesOf(variables).entries()) {
      if (i === 1) expect(values).not.toEqual(parameters[i]);
      else expect(values).toEqual(parameters[i]);
    }
    for (const [i, values] of valuesOf(optimizer.slots).entries()) {
      if (i % count === 1) expect(values).not.toEqual(slots[i]);
      else expect(values).toEqual(slots[i]);
    }
  });

  it('leaves nothing behind when it is disposed of, and never the gradients', async () => {
    for (const golden of cases) {
      const { variables, gradientsAt } = given(golden);
      const gradients = gradientsAt(0);
      await expectNoLeak(() => {
        const optimizer = createOptimizer(variables, settingsOf(name, golden.options));
        for (const step of [0, 1, 2]) optimizer.apply(gradients, 0.1, step);
        optimizer.dispose();
      });
      expect(gradients.some(({ isDisposed }) => isDisposed)).toBe(false);
    }
  });

  it('takes few kernels for a parameter, and reads nothing from the device', async () => {
    const most = { sgd: 5, adam: 12, adamw: 11 }[name];
    const adam = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
    const options = { momentum: 0.9, nesterov: false, ...adam, weightDecay: 0.1 };
    const { variables, gradientsAt } = given(cases[0]!);
    const optimizer = createOptimizer(variables, settingsOf(name, options));
    const gradients = gradientsAt(0);
    const reads = (['read', 'readSync'] as const).map((method) => vi.spyOn(tf.backend(), method));
    optimizer.apply(gradients, 0.1, 0);
    for (const read of reads) {
      expect(read).not.toHaveBeenCalled();
      read.mockRestore();
    }
    const { kernels } = await tf.profile(() => {
      optimizer.apply(gradients, 0.1, 1);
      return tf.scalar(0);
    });
    // Assigning is no work: it only counts one more use of the same memory.
    const computing = kernels.filter(({ name: kernel }) => kernel !== 'Identity');
    expect(computing.length).toBeGreaterThanOrEqual(variables.size);
    expect(computing.length / variables.size).toBeLessThanOrEqual(most);
  });
});
