import { describe, expect, it } from 'vitest';
import found from './found.json' with { type: 'json' };
import { judge, judgeSeeds, shrink } from './judge.ts';
import { describe as inWords, planOf } from './plan.ts';
import { simulate } from './simulate.ts';

const SEEDS = 2000;

describe('a simulated run', () => {
  it(`keeps what is promised, whatever goes wrong: ${SEEDS} seeds`, { timeout: 600_000 }, async () => {
    const finding = await judgeSeeds(0, SEEDS);
    const told = finding && {
      seed: finding.seed,
      broken: finding.outcome.broken,
      faults: (await shrink(planOf(finding.seed))).faults.map(inWords),
    };
    expect(told).toBeNull();
  });

  it.each(found)('keeps it where it once did not: seed $seed, $found', async ({ seed }) => {
    expect((await judge(planOf(seed))).broken).toEqual([]);
  });

  it('is the same run again for the same seed', async () => {
    for (const seed of [3, 4, 5]) expect(await simulate(planOf(seed))).toEqual(await simulate(planOf(seed)));
  });

  it('has faults of every kind, peers that come back, and ends that can be compared', async () => {
    const kinds = new Set<string>();
    let [compared, resumed, borrowed] = [0, 0, 0];
    for (let seed = 0; seed < 300; seed++) {
      const plan = planOf(seed);
      const own = new Set(plan.faults.map(({ kind }) => kind));
      for (const kind of own) kinds.add(kind);
      if (own.has('lose disk')) {
        const { trace } = await simulate(plan);
        if (trace.some((line) => line.includes('begins with the weights of'))) borrowed += 1;
      }
      const crashes = plan.faults.some(({ kind }) => kind.startsWith('crash'));
      if (plan.quorum !== 'all' || plan.onCoordinatorLoss !== 'wait' || !crashes) continue;
      const { whole, trace } = await simulate(plan);
      if (whole) compared += 1;
      if (trace.some((line) => line.includes('starts again'))) resumed += 1;
    }
    expect(kinds.size).toBe(11);
    expect(compared).toBeGreaterThan(10);
    expect(resumed).toBeGreaterThan(5);
    expect(borrowed).toBeGreaterThan(5);
  });
});
