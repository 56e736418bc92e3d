import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openNdjson, readNdjson, writeFileAtomic } from '../../src/results/files.ts';

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

describe('an ndjson file', () => {
  test('holds, after close, everything appended, in order', async () => {
    const path = join(folder, 'metrics.ndjson');
    const writer = openNdjson(path);
    const records = Array.from({ length: 5000 }, (_, step) => ({ step, text: 'line\nbreak é' }));
    for (const record of records) writer.append(record);
    await writer.close();
    expect(await readNdjson(path)).toEqual(records);
  });

  test('goes on after the last record when it is opened again', async () => {
    const path = join(folder, 'metrics.ndjson');
    for (const step of [1, 2]) {
      const writer = openNdjson(path);
      writer.append({ step });
      await writer.close();
    }
    expect(await readNdjson(path)).toEqual([{ step: 1 }, { step: 2 }]);
  });

  test.each([
    ['short', 7],
    ['longer than a chunk', 150_000],
  ])('loses a torn last line, %s, and nothing else', async (_, length) => {
    const path = join(folder, 'metrics.ndjson');
    await writeFile(path, `{"step":1}\n{"step":2}\n{"step":"${'3'.repeat(length)}`);
    expect(await readNdjson(path)).toEqual([{ step: 1 }, { step: 2 }]);
    const writer = openNdjson(path);
    writer.append({ step: 3 });
    await writer.close();
    expect(await readNdjson(path)).toEqual([{ step: 1 }, { step: 2 }, { step: 3 }]);
  });

  test('is refused when a line before the last is broken', async () => {
    const path = join(folder, 'metrics.ndjson');
    await writeFile(path, '{"step":1}\n{"st\n{"step":3}\n');
    await expect(readNdjson(path)).rejects.toThrow('line 2: expected JSON, got "{\\"st".');
  });

  test('may be closed twice, but not appended to after that', async () => {
    const writer = openNdjson(join(folder, 'events.ndjson'));
    await writer.close();
    await writer.close();
    expect(() => writer.append({})).toThrow('closed');
  });

  test('reports at close what could not be written', async () => {
    const writer = openNdjson('/dev/full');
    writer.append({ step: 1 });
    await expect(writer.close()).rejects.toThrow('ENOSPC');
  });
});
