import { expect, it } from 'vitest';
import { temporaryFolder } from '../support/temporaryFolder.ts';
import { drills } from './drills/index.ts';
import { runDrill } from './runDrill.ts';

/** Those that take seconds; `codistill drills --all` runs them all. */
const QUICK = [
  1, 2, 4, 5, 6, 7, 8, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 29, 31, 34, 38,
];

it.each(drills.filter(({ number }) => QUICK.includes(number)))(
  'drill $number: $title',
  async (drill) => {
    const result = await runDrill(drill, await temporaryFolder());
    expect(result.violations).toEqual([]);
    expect(result.passed, result.measured).toBe(true);
  },
  120_000,
);

it('has each drill once, of all that need neither a browser nor a GPU', () => {
  expect(drills.map(({ number }) => number)).toEqual([...new Set(drills.map(({ number }) => number))]);
  expect(drills.filter(({ number }) => QUICK.includes(number))).toHaveLength(QUICK.length);
});
