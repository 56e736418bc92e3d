import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createConnectionCounts } from '../../coordinator/admission.ts';
import { createMetrics } from '../../coordinator/metrics.ts';
import { parseCoordinatorOptions } from '../../coordinator/options.ts';
import { experimentSchema } from '../../src/config/schema.ts';
import { projectRoot } from '../../src/paths.ts';
import { emptyRun } from './support.ts';

/** Without the padding of its tables. */
const readme = readFileSync(join(projectRoot, 'coordinator/README.md'), 'utf8').replace(/ +\|/g, ' |');
const types = readFileSync(join(projectRoot, 'src/results/types.ts'), 'utf8');
const http = readFileSync(join(projectRoot, 'coordinator/http.ts'), 'utf8');

/** What stands in backquotes at the beginning of the rows between two headings. */
function firstCells(heading: string): string[] {
  const section = readme.slice(readme.indexOf(`\n## ${heading}\n`) + 1).split('\n## ')[0]!;
  return [...section.matchAll(/^\| `([^`]+)`/gm)].map((match) => match[1]!);
}

describe("the coordinator's README", () => {
  it('has every metric of the page, with its labels, and no other', async () => {
    const run = emptyRun(['a']);
    const now = (): number => 0;
    const counts = createConnectionCounts();
    const metrics = createMetrics({
      ...{ run, now, startedAtMs: 0, connections: new Map(), counts, heldBytes: () => 0 },
    });
    const { text } = await metrics.read();
    metrics.close();
    const names = [...text.matchAll(/^# TYPE (\S+)/gm)].map((match) => match[1]!);
    expect(names.length).toBeGreaterThan(20);
    expect(firstCells('Metrics').toSorted()).toEqual(names.toSorted());
    for (const [, name, label] of text.matchAll(/^(\w+)\{(\w+)=/gm)) {
      const row = readme.split('\n').find((line) => line.startsWith(`| \`${name}\` |`));
      expect(row).toContain(`\`${label}\``);
    }
  });

  it('has every page', () => {
    const pages = [...http.matchAll(/pathname === '([^']+)'/g)].map((match) => match[1]!);
    expect(firstCells('Pages').toSorted()).toEqual(pages.toSorted());
  });

  it('has every event', () => {
    const names = /type EventName =\s+((\| '\w+'\s*)+);/.exec(types)![1]!.match(/\w+/g)!;
    const section = readme.slice(readme.indexOf('\n## Events\n') + 1).split('\n## ')[0]!;
    const cells = section.split('\n').map((line) => /^\| (`.*?`) \|/.exec(line)?.[1] ?? '');
    const told = cells.flatMap((cell) => [...cell.matchAll(/`(\w+)`/g)].map((match) => match[1]!));
    expect(told.toSorted()).toEqual(names.toSorted());
  });

  it('has every kind of wait', () => {
    const kinds = /interface WaitStatus \{\s+readonly kind: (('\w+'( \| )?)+);/.exec(types)![1]!;
    const [, ...rows] = firstCells('Waits');
    expect(rows.toSorted()).toEqual(kinds.replaceAll("'", '').split(' | ').toSorted());
  });

  it('has the defaults of the timeouts and of the bounds', async () => {
    const { maxWait, lease } = experimentSchema.parse({}).exchange;
    expect(readme).toContain(`| \`exchange.maxWait\` | ${maxWait / 1000} s |`);
    expect(readme).toContain(`| \`exchange.lease\` | ${lease / 1000} s |`);
    const { maxPeers } = await parseCoordinatorOptions(['--peers', '5xmlp']);
    expect(maxPeers).toBe(2 * 5 + 64);
    expect(readme).toContain('| connections | `--max-peers`: twice the places of the experiment, and 64 |');
  });
});
