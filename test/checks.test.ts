import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { programPath } from '../src/paths.ts';

it.each([
  ['test/simulation/main.js', '--seeds', '0'],
  ['test/simulation/main.js', '--seeds', 'x'],
  ['test/simulation/main.js', '--from', '-1'],
  ['test/fuzz/main.js', '--cases', '0'],
  ['test/drills/main.js', '--times', '0'],
  ['test/drills/main.js', '--minutes', '0'],
  ['test/drills/main.js', '--seed', '1.5'],
])('%s %s %s is refused: a check of nothing would pass', (program, option, value) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [programPath(program), option, value], {
    encoding: 'utf8',
  });
  expect(stderr).toContain(
    `option '${option} <number>' argument '${value}' is invalid. Expected a whole number`,
  );
  expect([status, stdout]).toEqual([2, '']);
});
