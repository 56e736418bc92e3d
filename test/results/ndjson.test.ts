import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { StorageError } from '../../src/errors.ts';
import { programPath } from '../../src/paths.ts';
import { readNdjson } from '../../src/results/files.ts';
import { openNdjson } from '../../src/results/ndjson.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';

let folder: string;
beforeEach(async () => {
  folder = await temporaryFolder();
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
    const told: unknown[] = [];
    const writer = openNdjson('/dev/full', {
      failed: (error) => told.push(error),
      recovered: () => told.push(0),
    });
    writer.append({ step: 1 });
    await expect(writer.close()).rejects.toThrow(
      /^Could not write \/dev\/full: ENOSPC.* Make room on the disk/,
    );
    expect(told).toEqual([expect.any(StorageError)]);
  });

  test('that cannot be opened is reported as what cannot be written', () => {
    expect(() => openNdjson(join(folder, 'absent', 'x'))).toThrow(StorageError);
  });
});

/** Appends a record of 100 bytes at every line on its stdin, and tells on stdout what its writer tells. */
const APPENDER = `
import { createInterface } from 'node:readline';
const { openNdjson } = await import(process.argv[1]);
const say = (what) => console.log(JSON.stringify(what));
const writer = openNdjson(process.argv[2], {
  failed: ({ message }) => say({ failed: message }),
  recovered: (lost) => say({ recovered: lost }),
});
let step = 0;
let timer;
const append = () => writer.append({ step: step++, text: 'x'.repeat(80) });
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'append') append();
  if (line === 'flood') for (let i = 0; i < 20; i++) writer.append({ step: step++, text: 'x'.repeat(2 ** 20) });
  if (line === 'keep appending') timer = setInterval(append, 50);
}
clearInterval(timer);
await writer.close().then(() => say({ closed: step }), ({ message }) => say({ unsaved: message }));
`;

/** A process whose files can have 4 KiB and not one byte more, until `lift` is called: for it, the disk is full. */
function startAppender(path: string) {
  const script = [programPath('src/results/ndjson.js'), path].map((argument) => `'${argument}'`).join(' ');
  const child: ChildProcess = spawn('bash', [
    '-c',
    `ulimit -S -f 4; exec "$0" --input-type=module -e "$1" ${script}`,
    ...[process.execPath, APPENDER],
  ]);
  onTestFinished(() => void child.kill());
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  return {
    append: (times: number) => void child.stdin!.write('append\n'.repeat(times)),
    flood: () => void child.stdin!.write('flood\n'),
    keepAppending: () => void child.stdin!.write('keep appending\n'),
    lift: () => execFileSync('prlimit', ['--pid', String(child.pid), '--fsize=unlimited:unlimited']),
    told: async () => JSON.parse((await lines.next()).value as string) as Record<string, unknown>,
    end: async () => {
      child.stdin!.end();
      await once(child, 'exit');
    },
  };
}

describe('a full disk', () => {
  test('costs no line when there is room again, and leaves whole lines alone meanwhile', async () => {
    const path = join(folder, 'metrics.ndjson');
    const appender = startAppender(path);
    appender.append(100);
    expect((await appender.told()).failed).toMatch(/^Could not write .*metrics.ndjson: EFBIG/);
    const full = readFileSync(path, 'utf8');
    expect(full === '' || full.endsWith('\n')).toBe(true);
    appender.lift();
    appender.keepAppending();
    expect(await appender.told()).toEqual({ recovered: 0 });
    await appender.end();
    const { closed } = await appender.told();
    const records = (await readNdjson(path)) as { step: number }[];
    expect(records.map(({ step }) => step)).toEqual(Array.from({ length: closed as number }, (_, i) => i));
    expect(closed).toBeGreaterThan(100);
  });

  test('is tried for the last time at the end', async () => {
    const path = join(folder, 'metrics.ndjson');
    const appender = startAppender(path);
    appender.append(100);
    expect(await appender.told()).toHaveProperty('failed');
    appender.lift();
    await appender.end();
    expect(await appender.told()).toEqual({ recovered: 0 });
    expect(await appender.told()).toEqual({ closed: 100 });
    expect(await readNdjson(path)).toHaveLength(100);
  });

  test('costs the lines that memory has no room for, which are counted', async () => {
    const path = join(folder, 'metrics.ndjson');
    const appender = startAppender(path);
    appender.flood();
    expect(await appender.told()).toHaveProperty('failed');
    appender.lift();
    await appender.end();
    const { recovered: lost } = (await appender.told()) as { recovered: number };
    expect(lost).toBeGreaterThan(0);
    expect((await appender.told()).unsaved).toContain(`${lost} lines are lost`);
    const records = (await readNdjson(path)) as { step: number }[];
    expect(records.map(({ step }) => step)).toEqual(Array.from({ length: 20 - lost }, (_, i) => i));
  });

  test('to the end is told at the end', async () => {
    const path = join(folder, 'metrics.ndjson');
    const appender = startAppender(path);
    appender.append(100);
    expect(await appender.told()).toHaveProperty('failed');
    await appender.end();
    expect((await appender.told()).unsaved).toMatch(/EFBIG/);
    const text = await readFile(path, 'utf8');
    expect(text === '' || text.endsWith('\n')).toBe(true);
  });
});
