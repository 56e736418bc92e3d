import { mkdir, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { cifar100 } from '../../src/datasets/cifar100.ts';
import { fashionMnist } from '../../src/datasets/fashionMnist.ts';
import { cacheFolder, locate, locateEmbedded } from '../../src/datasets/locate.ts';
import { DataError } from '../../src/errors.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';

let root: string;

beforeEach(async () => {
  root = await temporaryFolder();
  vi.stubEnv('XDG_CACHE_HOME', join(root, 'cache'));
});
afterEach(() => vi.unstubAllEnvs());

async function put(folder: string, files: readonly string[]): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const file of files) await writeFile(join(folder, file), '');
}

describe('cacheFolder', () => {
  it('is under XDG_CACHE_HOME, or ~/.cache without one', () => {
    expect(cacheFolder('cifar-10')).toBe(join(root, 'cache', 'codistill', 'datasets', 'cifar-10'));
    vi.stubEnv('XDG_CACHE_HOME', undefined);
    expect(cacheFolder('cifar-10')).toBe(join(homedir(), '.cache', 'codistill', 'datasets', 'cifar-10'));
  });
});

describe('locate', () => {
  it.each(['', 'cifar-100', 'cifar-100-binary'])(
    'finds the files in the data folder, subfolder "%s"',
    async (sub) => {
      await put(join(root, sub), cifar100.files);
      expect(locate('cifar-100', cifar100, root)).toEqual({
        paths: cifar100.files.map((file) => join(root, sub, file)),
        source: `files in ${join(root, sub)}`,
      });
    },
  );

  it('finds unpacked files too', async () => {
    await put(root, [...fashionMnist.files.slice(0, 3), 't10k-labels-idx1-ubyte']);
    expect(locate('fashion-mnist', fashionMnist, root)!.paths[3]).toBe(join(root, 't10k-labels-idx1-ubyte'));
  });

  it('lists the folders tried, what they lack and how to get it when the data folder is not complete', async () => {
    await put(root, ['train.bin']);
    await put(cacheFolder('cifar-100'), cifar100.files);
    const call = () => locate('cifar-100', cifar100, root);
    expect(call).toThrow(DataError);
    expect(call).toThrow(`${root} (lacks test.bin)`);
    expect(call).toThrow(`${join(root, 'cifar-100-binary')} (lacks train.bin, test.bin)`);
    expect(call).toThrow(/--download.*https:.*cifar-100-binary\.tar\.gz.*--data-dir/);
  });

  it('prefers downloads to a package of the system', async () => {
    const definition = { ...cifar100, systemFolder: join(root, 'system') };
    expect(locate('cifar-100', definition)).toBeUndefined();
    await put(definition.systemFolder, cifar100.files);
    expect(locate('cifar-100', definition)!.source).toContain(`package in ${definition.systemFolder}`);
    await put(cacheFolder('cifar-100'), cifar100.files);
    expect(locate('cifar-100', definition)!.source).toContain(`downloaded to ${cacheFolder('cifar-100')}`);
  });

  it('passes over an incomplete download', async () => {
    await put(cacheFolder('cifar-100'), ['train.bin']);
    expect(locate('cifar-100', cifar100)).toBeUndefined();
  });
});

describe('locateEmbedded', () => {
  it('finds the subset of Fashion-MNIST, and none of CIFAR', () => {
    expect(locateEmbedded(fashionMnist)!.source).toContain('embedded subset');
    expect(locateEmbedded(cifar100)).toBeUndefined();
  });
});
