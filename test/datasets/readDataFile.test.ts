import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { readDataFile } from '../../src/datasets/readDataFile.ts';
import { DataError } from '../../src/errors.ts';
import { createRandom } from '../../src/random.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';

const random = createRandom(1, 'incompressible');
const content = Uint8Array.from({ length: 5000 }, () => random.below(256));

async function write(bytes: Uint8Array): Promise<string> {
  const path = join(await temporaryFolder(), 'file');
  await writeFile(path, bytes);
  return path;
}

describe('readDataFile', () => {
  it.each([
    ['plain', content],
    ['gzip', gzipSync(content)],
  ])('reads a %s file', async (_, bytes) => {
    const path = await write(bytes);
    const file = await readDataFile(path, 'Get another.');
    expect(Uint8Array.from(file.bytes)).toEqual(content);
    expect(file).toMatchObject({ path, remedy: 'Get another.' });
  });

  it.each([
    ['truncated', gzipSync(content).subarray(0, 1000)],
    ['corrupt', gzipSync(content).fill(7, 500, 600)],
  ])('refuses %s gzip, naming the file and the remedy', async (_, bytes) => {
    const path = await write(bytes);
    const reading = readDataFile(path, 'Get another.');
    await expect(reading).rejects.toThrow(DataError);
    await expect(reading).rejects.toThrow(path);
    await expect(reading).rejects.toThrow(/complete gzip file.*Get another\./);
  });

  it('says which file is missing and how to get it', async () => {
    const path = join(await temporaryFolder(), 'absent');
    const reading = readDataFile(path, 'Get another.');
    await expect(reading).rejects.toThrow(DataError);
    await expect(reading).rejects.toThrow(/absent: ENOENT.*Get another\./);
  });
});
