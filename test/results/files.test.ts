import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, watch, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { removeLeftovers, writeFileAtomic } from '../../src/results/files.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'codistill-files-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe('writeFileAtomic', () => {
  test('writes text and bytes, and replaces what was there', async () => {
    const path = join(folder, 'summary.json');
    await writeFileAtomic(path, 'a long first version');
    await writeFileAtomic(path, Uint8Array.of(0x68, 0x69));
    expect(await readFile(path, 'utf8')).toBe('hi');
    expect(await readdir(folder)).toEqual(['summary.json']);
  });

  test('leaves no temporary file behind, and the old content in place, when it fails', async () => {
    const path = join(folder, 'taken');
    await mkdir(path);
    await writeFile(join(path, 'inside'), '');
    await expect(writeFileAtomic(path, 'x')).rejects.toThrow();
    expect(await readdir(folder)).toEqual(['taken']);
    expect(await readdir(path)).toEqual(['inside']);
  });

  test('never shows a reader a part, with writers at the same time', async () => {
    const path = join(folder, 'shared');
    const versions = Array.from({ length: 8 }, (_, i) => String(i).repeat(200_000));
    await writeFileAtomic(path, versions[0]!);
    const writes = Promise.all(versions.map((version) => writeFileAtomic(path, version)));
    for (let i = 0; i < 20; i++) expect(versions).toContain(await readFile(path, 'utf8'));
    await writes;
    expect(await readdir(folder)).toEqual(['shared']);
  });
});

describe('leftovers', () => {
  test('are what a killed process left half-written, and nothing else', async () => {
    const others = ['weights.safetensors', 'mine.tmp', 'a-b-c-d.tmp'];
    const half = `summary.json.${randomUUID()}.tmp`;
    for (const name of [...others, half]) await writeFile(join(folder, name), '');
    await removeLeftovers(folder);
    expect((await readdir(folder)).sort()).toEqual(others.sort());
    await removeLeftovers(join(folder, 'absent'));
  });

  test('have the names that writeFileAtomic gives', async () => {
    const writing = writeFileAtomic(join(folder, 'x'), 'y'.repeat(1e6));
    const watcher = watch(folder);
    const names: string[] = [];
    for await (const { filename } of watcher) {
      names.push(filename!);
      if (filename === 'x') break;
    }
    await writing;
    const [temporary] = names.filter((name) => name !== 'x');
    await writeFile(join(folder, temporary!), '');
    await removeLeftovers(folder);
    expect(await readdir(folder)).toEqual(['x']);
  });
});
