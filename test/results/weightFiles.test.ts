import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DataError } from '../../src/errors.ts';
import { findWeights, weightFiles } from '../../src/results/weightFiles.ts';
import { encodeSafetensors } from '../../src/training/safetensors.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';

const architecture = (model: string) => ({ model, classes: 10, inputShape: [28, 28, 1] });

/** A run folder with a peer of each model; what the nth one has is n. */
async function runWith(...models: string[]): Promise<string> {
  const folder = await temporaryFolder();
  for (const [i, model] of models.entries()) {
    const path = join(folder, 'peers', `peer-${i}`, 'weights.safetensors');
    await mkdir(dirname(path), { recursive: true });
    const tensors = new Map([['w', { dtype: 'F32' as const, shape: [1], values: Float32Array.of(i) }]]);
    await writeFile(path, encodeSafetensors(tensors, { model, classes: '10', inputShape: '28x28x1' }));
  }
  return folder;
}

const valueIn = async (path: string, model: string) =>
  (await findWeights(path, architecture(model))).tensors.get('w')!.values[0];

describe('weightFiles', () => {
  it('finds those of every peer that has some, by name', async () => {
    const folder = await runWith('mlp', 'cnn-s');
    // As a teacher's folder is: it has a log, and no weights of its own.
    await mkdir(join(folder, 'peers', 'teacher-1'));
    expect((await weightFiles(folder)).map(({ name }) => name)).toEqual(['peer-0', 'peer-1']);
  });

  it('says what a run folder is when there are none', async () => {
    const folder = await temporaryFolder();
    const problem = `${folder}: expected a run folder with peers/<name>/weights.safetensors, found none.`;
    await expect(weightFiles(folder)).rejects.toThrow(new DataError(problem));
  });
});

describe('findWeights', () => {
  it('takes the one peer of a run folder with the model, or the file', async () => {
    const folder = await runWith('mlp', 'cnn-s', 'mlp');
    expect(await valueIn(folder, 'cnn-s')).toBe(1);
    expect(await valueIn((await weightFiles(folder))[2]!.path, 'mlp')).toBe(2);
  });

  it.each([
    [
      'several peers with the model',
      ['mlp', 'mlp'],
      'peer-0 (mlp), peer-1 (mlp). Give the file of one of them.',
    ],
    ['none', ['lenet5'], "peer-0 (lenet5). Give another folder, or change the teacher's model."],
  ])('tells what is there where a run folder has %s', async (_, models, found) => {
    const folder = await runWith(...models);
    const problem = `${folder}: expected one peer with the model mlp, found ${found}`;
    await expect(findWeights(folder, architecture('mlp'))).rejects.toThrow(new DataError(problem));
  });

  it('does not compare paths of modules, which may be written in several ways', async () => {
    const file = (await weightFiles(await runWith('./net.js')))[0]!.path;
    expect(await valueIn(file, '/elsewhere/net.js')).toBe(0);
  });

  it('names a file that is damaged', async () => {
    const path = join(await temporaryFolder(), 'weights.safetensors');
    await writeFile(path, 'no tensors');
    await expect(findWeights(path, architecture('mlp'))).rejects.toThrow(DataError);
    await expect(findWeights(path, architecture('mlp'))).rejects.toThrow(`${path}: `);
  });
});
