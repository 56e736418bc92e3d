import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DataError } from '../errors.ts';
import { readNdjson, writeFileAtomic } from './files.ts';
import { type ReportInput, renderReport } from './report.ts';
import type { EventRecord, MetricsRecord, RunSummary } from './types.ts';

/**
 * The name of a run and of its folder, such as `quickstart-20260131-142530`: local time, sortable, safe in file names.
 */
export function runFolderName(experiment: string, date: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}${two(date.getMonth() + 1)}${two(date.getDate())}`;
  const time = `${two(date.getHours())}${two(date.getMinutes())}${two(date.getSeconds())}`;
  return `${experiment}-${day}-${time}`;
}

/** Where a run that begins now goes when nobody says where. */
export function defaultRunFolder(experiment: string): string {
  return join('runs', runFolderName(experiment, new Date()));
}

/** Where a run keeps the same peers' training with another method. */
export function compareFolder(folder: string, method: string): string {
  return join(folder, 'compare', method);
}

/** @throws {DataError} when the folder holds no finished run, or its summary is damaged */
export async function readSummary(folder: string): Promise<RunSummary> {
  const path = join(folder, 'summary.json');
  if (!existsSync(path)) {
    throw new DataError(`${folder} has no summary.json: expected the folder of a run that has ended.`);
  }
  const text = await readFile(path, 'utf8');
  try {
    return JSON.parse(text) as RunSummary;
  } catch (cause) {
    const got = JSON.stringify(text.slice(0, 40));
    throw new DataError(`${path}: expected JSON as codistill writes it, got ${got}.`, { cause });
  }
}

/** Whether a run folder has no result yet, or that of a run which did not come to its end. */
export async function isUnfinished(folder: string): Promise<boolean> {
  if (!existsSync(join(folder, 'summary.json'))) return true;
  const { interrupted, peers } = await readSummary(folder);
  return interrupted || peers.some(({ outcome }) => outcome !== 'finished');
}

/** Renders `report.html` from the other files of a run folder. */
export async function writeReport(folder: string): Promise<void> {
  await writeFileAtomic(join(folder, 'report.html'), renderReport(await readRun(folder)));
}

async function readRun(folder: string): Promise<ReportInput> {
  const summary = await readSummary(folder);
  const recordsIn = async (of: string) => (await readNdjson(join(of, 'metrics.ndjson'))) as MetricsRecord[];
  const metrics: Record<string, MetricsRecord[]> = { [summary.method]: await recordsIn(folder) };
  for (const method of Object.keys(summary.compare)) {
    metrics[method] = await recordsIn(compareFolder(folder, method));
  }
  const events = (await readNdjson(join(folder, 'events.ndjson'))) as EventRecord[];
  return { summary, metrics, events };
}
