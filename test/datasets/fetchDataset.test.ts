import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { cifar100 } from '../../src/datasets/cifar100.ts';
import type { DatasetDefinition } from '../../src/datasets/definition.ts';
import { fetchDataset } from '../../src/datasets/fetchDataset.ts';
import { DataError } from '../../src/errors.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';
import { serveFiles, tarArchive } from './support.ts';

const train = Uint8Array.of(1, 2, 3);
const test = Uint8Array.of(4, 5);
const archive = gzipSync(
  tarArchive({
    'cifar-100-binary/train.bin': train,
    'cifar-100-binary/test.bin': test,
    'notes.txt': train,
    '../escape': train,
  }),
);

function expecting(files: Readonly<Record<string, Uint8Array>>): DatasetDefinition {
  const downloads = Object.entries(files).map(([name, bytes]) => ({
    name,
    bytes: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
  }));
  return { ...cifar100, downloads };
}

afterEach(() => vi.unstubAllEnvs());

describe('fetchDataset', () => {
  it('unpacks the files of the dataset, and no others, from an archive', async () => {
    vi.stubEnv('CODISTILL_DATASETS_URL', await serveFiles({ 'c.tar.gz': archive }));
    const folder = join(await temporaryFolder(), 'new', 'folder');
    await fetchDataset(expecting({ 'c.tar.gz': archive }), folder);
    expect(await readdir(folder)).toEqual(['test.bin', 'train.bin']);
    expect(Uint8Array.from(await readFile(join(folder, 'train.bin')))).toEqual(train);
    expect(await readdir(join(folder, '..'))).toEqual(['folder']);
  });

  it('keeps single files as they are, from a base URL without a slash at its end too', async () => {
    const base = await serveFiles({ 'train.bin': train, 'test.bin': test });
    vi.stubEnv('CODISTILL_DATASETS_URL', base.slice(0, -1));
    const folder = await temporaryFolder();
    await fetchDataset(expecting({ 'train.bin': train, 'test.bin': test }), folder);
    expect(Uint8Array.from(await readFile(join(folder, 'test.bin')))).toEqual(test);
  });

  it('uses the official server when no other is named', async () => {
    vi.stubEnv('CODISTILL_DATASETS_URL', undefined);
    const baseUrl = await serveFiles({ 'train.bin': train });
    const folder = await temporaryFolder();
    await fetchDataset({ ...expecting({ 'train.bin': train }), baseUrl }, folder);
    expect(await readdir(folder)).toEqual(['train.bin']);
  });

  it('leaves nothing behind when the download is corrupt', async () => {
    vi.stubEnv('CODISTILL_DATASETS_URL', await serveFiles({ 'train.bin': train.with(0, 9) }));
    const folder = await temporaryFolder();
    await expect(fetchDataset(expecting({ 'train.bin': train }), folder)).rejects.toThrow(DataError);
    expect(await readdir(folder)).toEqual([]);
  });

  it('leaves nothing behind when a file cannot be written', async () => {
    vi.stubEnv('CODISTILL_DATASETS_URL', await serveFiles({ 'train.bin': train }));
    const folder = await temporaryFolder();
    await mkdir(join(folder, 'train.bin'));
    await writeFile(join(folder, 'train.bin', 'in the way'), '');
    await expect(fetchDataset(expecting({ 'train.bin': train }), folder)).rejects.toThrow(
      /Cannot write .*train\.bin/,
    );
    expect(await readdir(folder)).toEqual(['train.bin']);
  });
});
