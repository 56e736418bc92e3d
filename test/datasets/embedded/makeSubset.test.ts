import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { makeSubset } from '../../../src/datasets/embedded/makeSubset.ts';
import { fashionMnist } from '../../../src/datasets/fashionMnist.ts';
import { projectRoot } from '../../../src/paths.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';

const embedded = join(projectRoot, fashionMnist.embeddedFolder!);
const readAll = (folder: string) =>
  Promise.all(fashionMnist.files.map((file) => readFile(join(folder, file))));

describe('the embedded subset', () => {
  it('has the checksums of its README', async () => {
    const readme = await readFile(join(embedded, 'README.md'), 'utf8');
    for (const [i, bytes] of (await readAll(embedded)).entries()) {
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      expect(readme).toMatch(new RegExp(`\`${fashionMnist.files[i]}\` +\\| +\`${sha256}\``));
    }
  });

  it('is balanced', async () => {
    const contents = (await readAll(embedded)).map((bytes, i) => ({
      path: fashionMnist.files[i]!,
      remedy: '',
      bytes: gunzipSync(bytes),
    }));
    const { train, test } = fashionMnist.parse(contents);
    for (let label = 0; label < 10; label++) {
      expect(train.labels.filter((other) => other === label).length).toBe(1000);
      expect(test.labels.filter((other) => other === label).length).toBe(200);
    }
  });
});

describe('makeSubset', () => {
  it('makes the same files every time, and the subset of the subset is itself', async () => {
    const [first, second] = [await temporaryFolder(), await temporaryFolder()];
    await makeSubset(embedded, first);
    await makeSubset(first, second);
    const made = await readAll(first);
    expect(made.every((bytes) => bytes.readUInt32LE(4) === 0 && bytes[9] === 255)).toBe(true);
    expect((await readAll(second)).map((bytes, i) => bytes.equals(made[i]!))).toEqual([
      true,
      true,
      true,
      true,
    ]);
    const original = await readAll(embedded);
    expect(made.map((bytes, i) => gunzipSync(bytes).equals(gunzipSync(original[i]!)))).toEqual([
      true,
      true,
      true,
      true,
    ]);
  });
});
