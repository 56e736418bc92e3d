import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { assignFrom, loadNetwork, type Network } from '../../peer/network.ts';
import { loadBackend } from '../../src/backend/select.ts';
import { DataError, ExitCode } from '../../src/errors.ts';
import { readVariables, weightsOf } from '../../src/training/modelWeights.ts';
import { encodeSafetensors } from '../../src/training/safetensors.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';
import { expectNoLeak } from '../support/tensors.ts';
import { EMBEDDED, settingsWith } from './support.ts';

beforeAll(async () => {
  await loadBackend('cpu');
});

function load(name: string, model: string, seed = 1): Promise<Network> {
  const { data, ...settings } = settingsWith();
  return loadNetwork({
    ...{ name, model, dataDir: EMBEDDED, download: false },
    settings: { ...settings, seed, data: { ...data, trainSize: 40, testSize: 20 } },
  });
}

const weightsIn = async ({ model }: Network) => [...(await readVariables(weightsOf(model))).values()];

/** Writes a network's weights as a peer does. */
async function save({ model }: Network, path: string, changes: Record<string, string> = {}): Promise<void> {
  const metadata = { model: model.name, classes: '10', inputShape: '28x28x1', dataset: 'fashion-mnist' };
  await mkdir(dirname(path), { recursive: true });
  const tensors = await readVariables(weightsOf(model));
  await writeFile(path, encodeSafetensors(tensors, { ...metadata, ...changes }));
}

describe('a network', () => {
  it('has initial weights of its own name and seed, and tells its layers', async () => {
    await expectNoLeak(async () => {
      const networks = await Promise.all([load('a', 'cnn-s'), load('a', 'cnn-s'), load('b', 'cnn-s')]);
      const [a, same, b] = await Promise.all(networks.map(weightsIn));
      expect(same).toEqual(a);
      expect(b).not.toEqual(a);
      const { layers, parameterCount, dataset } = networks[0]!;
      expect(Object.keys(layers)).toEqual(['preact1', 'stage1', 'preact2', 'stage2', 'embedding']);
      expect(layers.stage1).toHaveLength(3);
      expect(parameterCount).toBeGreaterThan(1000);
      expect(dataset.train.count).toBe(40);
      for (const network of networks) network.dispose();
    });
  });

  it('predicts the whole test set, and stops when it is told to', async () => {
    const network = await load('a', 'mlp');
    let batches = 0;
    const { signal } = new AbortController();
    const logits = await network.predictTestSet(signal, () => {
      batches += 1;
    });
    expect(logits).toHaveLength(20 * 10);
    expect(batches).toBeGreaterThan(0);
    expect(await network.predictTestSet(AbortSignal.abort(), () => {})).toBeNull();
    network.dispose();
  });
});

describe('the weights of a teacher', () => {
  it('come from a file, or from the peer of a run folder that has its model', async () => {
    const folder = await temporaryFolder();
    const [trained, other] = await Promise.all([load('trained', 'mlp'), load('other', 'lenet5')]);
    const file = join(folder, 'peers', 'one', 'weights.safetensors');
    await save(trained, file);
    await save(other, join(folder, 'peers', 'two', 'weights.safetensors'));
    for (const path of [file, folder]) {
      const teacher = await load('teacher-1', 'mlp');
      expect(await weightsIn(teacher)).not.toEqual(await weightsIn(trained));
      await assignFrom(path, teacher, 'mlp');
      expect(await weightsIn(teacher)).toEqual(await weightsIn(trained));
      teacher.dispose();
    }
    for (const network of [trained, other]) network.dispose();
  });

  it.each<[string, string, Record<string, string>, string]>([
    [
      'of another model',
      'lenet5',
      {},
      "expected weights of the model mlp, found those of lenet5. Give other weights, or make lenet5 the teacher's model.",
    ],
    [
      'for other classes',
      'mlp',
      { classes: '100', dataset: 'cifar-100' },
      'expected weights for 10 classes, found those for 100, trained on cifar-100. Give other weights, or choose that dataset with data.dataset.',
    ],
    [
      'for other images',
      'mlp',
      { inputShape: '32x32x3', dataset: 'cifar-10' },
      'expected weights for images of 28x28x1, found those for 32x32x3, trained on cifar-10. Give other weights, or choose that dataset with data.dataset.',
    ],
    // What a file says of itself is not all: its tensors are compared, too.
    ['that say they are others', 'lenet5', { model: 'mlp' }, 'The weights have "'],
  ])('are refused %s, with what to change', async (_, model, changes, problem) => {
    const path = join(await temporaryFolder(), 'weights.safetensors');
    const [saved, teacher] = await Promise.all([load('saved', model), load('teacher-1', 'mlp')]);
    await save(saved, path, changes);
    const before = await weightsIn(teacher);
    const refused = assignFrom(path, teacher, 'mlp');
    await expect(refused).rejects.toThrow(DataError);
    await expect(refused).rejects.toMatchObject({ exitCode: ExitCode.data });
    await expect(refused).rejects.toThrow(`${path}: ${problem}`);
    expect(await weightsIn(teacher)).toEqual(before);
    for (const network of [saved, teacher]) network.dispose();
  });

  it('are refused when nothing is there, with what to give', async () => {
    const path = join(await temporaryFolder(), 'absent');
    const teacher = await load('teacher-1', 'mlp');
    await expect(assignFrom(path, teacher, 'mlp')).rejects.toThrow(
      `${path}: expected a teacher's weights, found nothing. Give a safetensors file or a run folder; without weights, codistill run trains the teacher first.`,
    );
    teacher.dispose();
  });
});
