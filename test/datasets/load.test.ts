import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { fashionMnist } from '../../src/datasets/fashionMnist.ts';
import { loadDataset } from '../../src/datasets/load.ts';
import { cacheFolder } from '../../src/datasets/locate.ts';
import { DataError, UsageError } from '../../src/errors.ts';
import { projectRoot } from '../../src/paths.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';
import { cifarFile, serveFiles } from './support.ts';

/** A dataset of CIFAR-100's format that is small enough to be downloaded in a test. */
const mini = vi.hoisted(() => ({ archive: new Uint8Array() }));
vi.mock('../../src/datasets/registry.ts', async (original) => {
  const { createHash } = await import('node:crypto');
  const { gzipSync } = await import('node:zlib');
  const { cifarFile, tarArchive } = await import('./support.ts');
  const { datasets } = await original<typeof import('../../src/datasets/registry.ts')>();
  const tar = tarArchive({
    'm/train.bin': cifarFile([
      [0, 7],
      [0, 8],
    ]),
    'm/test.bin': cifarFile([[0, 9]]),
  });
  mini.archive = gzipSync(tar);
  const sha256 = createHash('sha256').update(mini.archive).digest('hex');
  const downloads = [{ name: 'mini.tar.gz', bytes: mini.archive.length, sha256 }];
  return { datasets: { ...datasets, mini: { ...datasets['cifar-100']!, downloads } } };
});

let root: string;

beforeEach(async () => {
  root = await temporaryFolder();
  vi.stubEnv('XDG_CACHE_HOME', root);
  vi.stubEnv('CODISTILL_DATASETS_URL', 'http://unused.invalid/');
});
afterEach(() => vi.unstubAllEnvs());

const embedded = {
  dataset: 'fashion-mnist',
  dataDir: join(projectRoot, fashionMnist.embeddedFolder!),
  seed: 1,
};

async function writeCifar10(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (let batch = 1; batch <= 5; batch++) {
    await writeFile(join(folder, `data_batch_${batch}.bin`), cifarFile([[batch], [9 - batch]]));
  }
  await writeFile(join(folder, 'test_batch.bin'), cifarFile([[0], [1], [2]]));
}

describe('loadDataset', () => {
  it('loads the embedded subset of Fashion-MNIST', async () => {
    const dataset = await loadDataset(embedded);
    expect(dataset).toMatchObject({
      name: 'fashion-mnist',
      imageShape: [28, 28, 1],
      mean: [0.286],
      std: [0.353],
    });
    expect([dataset.train.count, dataset.test.count]).toEqual([10_000, 2_000]);
    expect(dataset.train.images.length).toBe(10_000 * 784);
    expect([...dataset.train.labels.subarray(0, 10)]).toEqual([9, 0, 0, 3, 0, 2, 7, 2, 5, 5]);
    expect(dataset.source).toContain(embedded.dataDir);
    expect(dataset.digest).toMatch(/^[0-9a-f]{64}$/);
  });

  it('takes balanced subsets and makes training labels, never test labels, wrong', async () => {
    const whole = await loadDataset({ ...embedded, trainSize: 200, testSize: 50 });
    const noisy = await loadDataset({ ...embedded, trainSize: 200, testSize: 50, labelNoise: 0.3 });
    expect([whole.train.count, whole.test.count]).toEqual([200, 50]);
    expect(noisy.train.labels.filter((label, i) => label !== whole.train.labels[i]).length).toBe(60);
    expect(noisy.test).toEqual(whole.test);
  });

  it('has the same digest for the same samples only', async () => {
    const options = { ...embedded, trainSize: 100, testSize: 100, labelNoise: 0.5 };
    const { digest } = await loadDataset(options);
    expect((await loadDataset(options)).digest).toBe(digest);
    for (const other of [{ seed: 2 }, { trainSize: 110 }, { testSize: 110 }, { labelNoise: 0.4 }]) {
      expect((await loadDataset({ ...options, ...other })).digest).not.toBe(digest);
    }
  });

  it('reads CIFAR-10 from the data folder, batches in order', async () => {
    await writeCifar10(join(root, 'data', 'cifar-10-batches-bin'));
    const dataset = await loadDataset({ dataset: 'cifar-10', dataDir: join(root, 'data'), seed: 1 });
    expect([...dataset.train.labels]).toEqual([1, 8, 2, 7, 3, 6, 4, 5, 5, 4]);
    expect([...dataset.test.labels]).toEqual([0, 1, 2]);
    expect(dataset).toMatchObject({ imageShape: [32, 32, 3], mean: [0.4914, 0.4822, 0.4465] });
  });

  it('prefers an earlier download to a new one', async () => {
    await writeCifar10(cacheFolder('cifar-10'));
    const dataset = await loadDataset({ dataset: 'cifar-10', download: true, seed: 1 });
    expect(dataset.source).toContain('downloaded to');
  });

  it('downloads only when told to', async () => {
    vi.stubEnv('CODISTILL_DATASETS_URL', await serveFiles({ 'mini.tar.gz': mini.archive }));
    await expect(loadDataset({ dataset: 'mini', seed: 1 })).rejects.toThrow(DataError);
    const dataset = await loadDataset({ dataset: 'mini', download: true, seed: 1 });
    expect([...dataset.train.labels]).toEqual([7, 8]);
    expect((await loadDataset({ dataset: 'mini', seed: 1 })).digest).toBe(dataset.digest);
  });

  it('keeps nothing of a download that cannot be verified', async () => {
    vi.stubEnv('CODISTILL_DATASETS_URL', await serveFiles({ 'mini.tar.gz': mini.archive.with(20, 99) }));
    await expect(loadDataset({ dataset: 'mini', download: true, seed: 1 })).rejects.toThrow(
      /expected SHA-256/,
    );
    expect(await readdir(root)).toEqual([]);
  });

  it('says how to get a dataset that is not there', async () => {
    const loading = loadDataset({ dataset: 'cifar-100', seed: 1 });
    await expect(loading).rejects.toThrow(DataError);
    await expect(loading).rejects.toThrow(/--download.*https:.*cifar-100-binary\.tar\.gz.*--data-dir/);
  });

  it.each([
    ['an unknown dataset', { dataset: 'fashion-mnits' }, /did you mean "fashion-mnist"/],
    ['more samples than there are', { trainSize: 10_001 }, /trainSize: .*10000/],
    ['a size of 0', { testSize: 0 }, /testSize: .*from 1 to 2000/],
    ['a noise above 1', { labelNoise: 30 }, /labelNoise: .*0 to 1, got 30/],
  ])('refuses %s', async (_, options, message) => {
    const loading = loadDataset({ ...embedded, ...options });
    await expect(loading).rejects.toThrow(UsageError);
    await expect(loading).rejects.toThrow(message);
  });
});
