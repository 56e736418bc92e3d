import { mkdir, writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from '../../src/paths.ts';
import { json } from '../../src/results/files.ts';

/** Writes what a benchmark measured, and on which machine, to `test/bench/results/<name>.json`. */
export async function writeResults(name: string, results: Readonly<Record<string, unknown>>): Promise<void> {
  const folder = join(projectRoot, 'test', 'bench', 'results');
  const machine = {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform} ${process.arch}`,
    node: process.version,
  };
  const path = join(folder, `${name}.json`);
  await mkdir(folder, { recursive: true });
  await writeFile(path, json({ date: new Date().toISOString(), machine, ...results }));
  process.stdout.write(`written: ${path}\n`);
}
