/**
 * Simulates many runs with faults, and checks what is promised of them.
 *
 *     npm run simulate -- --seeds 100000 [--from 0]
 *     npm run simulate -- --seed 4711            one run, with its trace
 */
import { parseArgs } from 'node:util';
import { judge, judgeSeeds, shrink } from './judge.ts';
import { describe, planOf } from './plan.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '2000' },
    from: { type: 'string', default: '0' },
    seed: { type: 'string' },
  },
});

const say = (text: string): void => void process.stdout.write(`${text}\n`);

async function show(seed: number): Promise<void> {
  const plan = await shrink(planOf(seed));
  const { broken, trace } = await judge(plan);
  const { faults, ...rest } = plan;
  say(JSON.stringify(rest));
  say(['', 'faults:', ...faults.map(describe), '', ...trace.slice(-400), '', ...broken].join('\n'));
}

if (values.seed !== undefined) {
  await show(Number(values.seed));
} else {
  const startedAt = performance.now();
  const finding = await judgeSeeds(Number(values.from), Number(values.seeds), (judged) => {
    if (judged % 1000 === 0) {
      const rate = judged / ((performance.now() - startedAt) / 1000);
      say(`${judged} runs, ${rate.toFixed(0)} a second, nothing broken`);
    }
  });
  if (finding) {
    say(`seed ${finding.seed} breaks a promise`);
    await show(finding.seed);
    process.exitCode = 1;
  }
}
