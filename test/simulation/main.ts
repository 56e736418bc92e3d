import { createCommand } from '../../src/config/commandLine.ts';
import { ExitCode } from '../../src/errors.ts';
import { runProgram } from '../../src/program.ts';
import { wholeNumber } from '../support/wholeNumber.ts';
import { judge, judgeSeeds, shrink } from './judge.ts';
import { describe, planOf } from './plan.ts';

const say = (text: string): void => void process.stdout.write(`${text}\n`);

async function show(seed: number): Promise<void> {
  const plan = await shrink(planOf(seed));
  const { broken, trace } = await judge(plan);
  const { faults, ...rest } = plan;
  say(JSON.stringify(rest));
  say(['', 'faults:', ...faults.map(describe), '', ...trace.slice(-400), '', ...broken].join('\n'));
}

await runProgram(async () => {
  const command = createCommand(
    'npm run simulate --',
    'Simulates many runs with faults, and checks what is promised of them.',
  )
    .option('--seeds <number>', 'how many runs', wholeNumber(1), 2000)
    .option('--from <number>', 'seed of the first one', wholeNumber(0), 0)
    .option('--seed <number>', 'one run, with its trace', wholeNumber(0))
    .parse();
  const { seeds, from, seed } = command.opts<{ seeds: number; from: number; seed?: number }>();
  if (seed !== undefined) {
    await show(seed);
    return ExitCode.ok;
  }
  const startedAt = performance.now();
  const finding = await judgeSeeds(from, seeds, (judged) => {
    if (judged % 1000 !== 0 && judged !== seeds) return;
    const rate = judged / ((performance.now() - startedAt) / 1000);
    say(`${judged} runs, ${rate.toFixed(0)} a second, nothing broken`);
  });
  if (!finding) return ExitCode.ok;
  say(`seed ${finding.seed} breaks a promise`);
  await show(finding.seed);
  return ExitCode.internal;
});
