import { cpus, totalmem } from 'node:os';
import type { MethodSummary, RunSummary } from './types.ts';
import { verdict } from './verdict.ts';

/**
 * What `summary.json` holds for one training.
 *
 * @param compare the same peers trained with other methods, by method
 */
export function summaryFile(
  summary: MethodSummary,
  experiment: unknown,
  compare: Readonly<Record<string, MethodSummary>> = {},
): RunSummary {
  const file = {
    schemaVersion: 1 as const,
    experiment,
    ...summary,
    compare,
    machine: {
      cpu: cpus()[0]?.model.trim() ?? 'unknown',
      cores: cpus().length,
      memoryGiB: Math.round(totalmem() / 2 ** 30),
      node: process.version,
    },
  };
  return { ...file, verdict: verdict(file) };
}
