import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { DataError } from '../../src/errors.ts';
import { compareFolder, readSummary, runFolderName, writeReport } from '../../src/results/runFolder.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';
import { exampleMetrics, exampleRun } from './example.ts';

const linesOf = (records: readonly object[]): string =>
  records.map((record) => `${JSON.stringify(record)}\n`).join('');

/** The folder of the example run, with the training compared with. */
async function exampleFolder(): Promise<string> {
  const folder = await temporaryFolder();
  const run = exampleRun();
  const control = compareFolder(folder, 'independent');
  await mkdir(control, { recursive: true });
  await writeFile(join(folder, 'summary.json'), JSON.stringify(run));
  await writeFile(join(folder, 'metrics.ndjson'), linesOf(exampleMetrics(run)));
  await writeFile(join(control, 'metrics.ndjson'), linesOf(exampleMetrics(run.compare.independent!)));
  const left = { time: '2026-01-31T14:25:30.000Z', event: 'left', peer: 'peer-2', reason: 'pulled the plug' };
  await writeFile(join(folder, 'events.ndjson'), linesOf([left]));
  return folder;
}

/** The labels of the lines in the report's first chart. */
function linesIn(page: string): string[] {
  const [, data] = /id="report-data">([\s\S]*?)<\/script>/.exec(page)!;
  const { charts } = JSON.parse(data!) as { charts: { lines: { label: string }[] }[] };
  return charts[0]!.lines.map(({ label }) => label);
}

describe('the name of a run folder', () => {
  test('is the experiment with the local time, in digits that sort', () => {
    expect(runFolderName('quickstart', new Date(2026, 0, 31, 14, 25, 30))).toBe('quickstart-20260131-142530');
    expect(runFolderName('lab', new Date(2026, 11, 1, 2, 3, 4, 999))).toBe('lab-20261201-020304');
  });
});

describe('a summary', () => {
  test('is read back as it was written', async () => {
    expect(await readSummary(await exampleFolder())).toEqual(exampleRun());
  });

  test('is missed in the folder of a run that has not ended', async () => {
    const folder = await temporaryFolder();
    await expect(readSummary(folder)).rejects.toThrow(
      new DataError(`${folder} has no summary.json: expected the folder of a run that has ended.`),
    );
  });
});

describe('the report', () => {
  test('is written from the files of the folder: summary, events, and curves of every method', async () => {
    const folder = await exampleFolder();
    await writeReport(folder);
    const page = await readFile(join(folder, 'report.html'), 'utf8');
    expect(page).toMatch(/^<!doctype html>/i);
    expect(page).toContain('quickstart: dml beside independent');
    expect(page).toContain('pulled the plug');
    expect(linesIn(page)).toEqual(['peer-1 dml', 'peer-2 dml', 'peer-1 independent', 'peer-2 independent']);
  });

  test('replaces an older one, and leaves no other file behind', async () => {
    const folder = await exampleFolder();
    const before = await readdir(folder);
    await writeFile(join(folder, 'report.html'), 'a report of before');
    await writeReport(folder);
    const page = await readFile(join(folder, 'report.html'), 'utf8');
    expect(page.includes('a report of before')).toBe(false);
    expect((await readdir(folder)).sort()).toEqual([...before, 'report.html'].sort());
  });

  test('is not written for a run whose summary is damaged', async () => {
    const folder = await exampleFolder();
    await writeFile(join(folder, 'summary.json'), '{"method": ');
    const path = join(folder, 'summary.json');
    await expect(writeReport(folder)).rejects.toThrow(`${path}: expected JSON as codistill writes it, got`);
  });

  test('is not written for a run without a summary', async () => {
    const folder = await temporaryFolder();
    await expect(writeReport(folder)).rejects.toThrow(DataError);
    expect(await readdir(folder)).toEqual([]);
  });
});
