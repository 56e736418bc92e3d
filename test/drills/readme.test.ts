import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { projectRoot } from '../../src/paths.ts';
import { drills } from './drills/index.ts';
import { markdownCells } from './scorecard.ts';

it("the coordinator's README lists the drills as they are", async () => {
  const readme = await readFile(join(projectRoot, 'coordinator', 'README.md'), 'utf8');
  const section = readme.slice(readme.indexOf('## What is promised, and how it is proven'));
  const cells = section
    .split('\n')
    .filter((line) => /^\| *\d+ /.test(line))
    .map((line) =>
      line
        .split('|')
        .slice(1, 5)
        .map((cell) => cell.trim()),
    );
  expect(cells).toEqual(drills.map(markdownCells));
});
