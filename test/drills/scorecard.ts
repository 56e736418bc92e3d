import Table from 'cli-table3';
import { wrap } from '../../src/results/format.ts';
import type { Result } from './runDrill.ts';

/** What held, as a table for a terminal, and what did not, in words. */
export function scorecard(results: readonly Result[]): string {
  const table = new Table({
    head: ['', 'drill', 'promise', 'criterion', 'measured', 'pass'],
    colAligns: ['right', 'left', 'left', 'left', 'left', 'left'],
    style: { head: [], border: [] },
  });
  for (const { number, title, promises, criterion, measured, passed } of results) {
    table.push([
      number,
      wrap(title, 30),
      promises.join('\n'),
      wrap(criterion, 36),
      wrap(measured, 28),
      passed ? 'yes' : 'NO',
    ]);
  }
  const failed = results.filter(({ passed }) => !passed);
  const lines = failed.flatMap(({ number, seed, folder, violations }) => [
    `drill ${number}, seed ${seed}: ${folder}`,
    ...violations.map(({ promise, detail }) => `  ${promise}: ${detail}`),
  ]);
  const total = `${results.length - failed.length} of ${results.length} passed`;
  return [table.toString(), ...lines, total, ''].join('\n');
}

/** The first cells of a drill's row in the README, which do not depend on how it went. */
export function markdownCells({
  number,
  title,
  promises,
  criterion,
}: Pick<Result, 'number' | 'title' | 'promises' | 'criterion'>): string[] {
  return [`${number}`, title, promises.join(' '), criterion];
}

/** The table of the README, with what was measured. */
export function markdown(results: readonly Result[]): string {
  const heads = ['', 'drill', 'promises', 'criterion', 'measured'];
  const rows = results.map((result) => [
    ...markdownCells(result),
    result.passed ? result.measured.replaceAll('|', '/') : '**failed**',
  ]);
  return [heads, heads.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}
