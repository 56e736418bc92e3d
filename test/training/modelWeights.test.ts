import { beforeAll, describe, expect, it } from 'vitest';
import { loadBackend } from '../../src/backend/select.ts';
import { DataError } from '../../src/errors.ts';
import type { Model } from '../../src/models/types.ts';
import { assignWeights, readVariables, weightsOf } from '../../src/training/modelWeights.ts';
import { decodeSafetensors, encodeSafetensors, type SafeTensor } from '../../src/training/safetensors.ts';
import { linearModel } from '../support/models.ts';
import { expectNoLeak } from '../support/tensors.ts';

beforeAll(async () => {
  await loadBackend('wasm');
});

const WEIGHT = [
  [1, 2],
  [3, 4],
  [5, 6],
];
const SHIFT = [-1, -2];
const zeros = (): Model =>
  linearModel(
    [
      [0, 0],
      [0, 0],
      [0, 0],
    ],
    [0, 0],
  );

function tensor(shape: readonly number[], values: readonly number[]): SafeTensor {
  return { dtype: 'F32', shape, values: Float32Array.from(values) };
}

const whole = (): Map<string, SafeTensor> =>
  new Map([
    ['weight', tensor([3, 2], WEIGHT.flat())],
    ['shift', tensor([2], SHIFT)],
  ]);

const valuesOf = (model: Model) =>
  [...weightsOf(model).values()].flatMap((variable) => [...variable.dataSync()]);

describe('reading the weights of a model', () => {
  it('gives parameters and running statistics by name, in their order', async () => {
    const tensors = await readVariables(weightsOf(linearModel(WEIGHT, SHIFT)));
    expect([...tensors]).toEqual([...whole()]);
  });

  it('puts the prefix in front of each name', async () => {
    const tensors = await readVariables(weightsOf(linearModel(WEIGHT, SHIFT)), 'ema.');
    expect([...tensors.keys()]).toEqual(['ema.weight', 'ema.shift']);
  });
});

describe('giving a model weights', () => {
  it('sets all of them to what a file holds', async () => {
    const file = encodeSafetensors(await readVariables(weightsOf(linearModel(WEIGHT, SHIFT))), {});
    const model = zeros();
    assignWeights(model, decodeSafetensors(file).tensors);
    expect(valuesOf(model)).toEqual([...WEIGHT.flat(), ...SHIFT]);
  });

  it('does not depend on the order of the file', () => {
    const model = zeros();
    assignWeights(model, new Map([...whole()].reverse()));
    expect(valuesOf(model)).toEqual([...WEIGHT.flat(), ...SHIFT]);
  });

  // The first weight always fits, so a model that is changed before all were looked at shows it.
  it.each<[string, (tensors: Map<string, SafeTensor>) => unknown, string]>([
    ['lacks a weight', (t) => t.delete('shift'), 'The weights lack "shift" of linear.'],
    [
      'has one too many',
      (t) => t.set('bias', tensor([1], [0])),
      'The weights have "bias", which linear has not.',
    ],
    [
      'has one of another shape',
      (t) => t.set('shift', tensor([1, 2], SHIFT)),
      '"shift": expected F32 [2], as linear has it, got F32 [1,2].',
    ],
    [
      'has one of another type',
      (t) => t.set('shift', { dtype: 'I32', shape: [2], values: Int32Array.from(SHIFT) }),
      '"shift": expected F32 [2], as linear has it, got I32 [2].',
    ],
  ])('refuses a file that %s, and leaves the model as it was', (_, change, message) => {
    const model = zeros();
    const tensors = whole();
    change(tensors);
    expect(() => assignWeights(model, tensors)).toThrow(new DataError(message));
    expect(valuesOf(model)).toEqual(new Array(8).fill(0));
  });

  it('leaves no tensor behind, whether they fit or not', async () => {
    const model = zeros();
    await expectNoLeak(() => {
      assignWeights(model, whole());
      expect(() => assignWeights(model, new Map())).toThrow(DataError);
    });
  });
});
