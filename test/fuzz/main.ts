import { createCommand } from '../../src/config/commandLine.ts';
import { ExitCode, messageOf } from '../../src/errors.ts';
import { runProgram } from '../../src/program.ts';
import { wholeNumber } from '../support/wholeNumber.ts';
import { addToCorpus, textOf } from './caseFiles.ts';
import { fuzzCoordinator, MOST_GROWTH_MIB, MOST_LAG_MS } from './coordinator.ts';
import { fuzz, type Report } from './runner.ts';
import { targets } from './targets.ts';

/** Cases from one line of progress to the next; each lot has a seed of its own. */
const LOT = 20_000;
/** Of a hundred cases, so many frames are sent to a coordinator in a process of its own. */
const LIVE_SHARE = 1;

const say = (line: string) => process.stdout.write(`${line}\n`);
const mebibytes = () => Math.round(process.memoryUsage().rss / 2 ** 20);

await runProgram(async () => {
  const command = createCommand(
    'npm run fuzz --',
    'Tries many cases of everything that is fuzzed. A case that fails is made small and kept in the corpus.',
  )
    .option('--cases <number>', 'how many in all', wholeNumber(1), 20_000)
    .option('--seed <number>', 'of the first lot', wholeNumber(0), 1)
    .parse();
  const { cases, seed } = command.opts<{ cases: number; seed: number }>();
  const startedAt = performance.now();
  const seconds = () => (performance.now() - startedAt) / 1000;
  const memoryBefore = mebibytes();
  let [tried, longestMs] = [0, 0];
  for (let lot = 0; tried < cases; lot++) {
    const size = Math.min(LOT, cases - tried);
    for (const target of targets) {
      const report = await fuzz(target, Math.ceil((size * target.share) / 100), seed + lot);
      if (report.failure) return keepFailure(report);
      longestMs = Math.max(longestMs, report.longestMs);
    }
    tried += size;
    const rate = Math.round(tried / seconds());
    say(`${tried} of ${cases} cases, last seed ${seed + lot}: ${rate}/s, ${mebibytes()} MiB`);
  }
  const grown = mebibytes() - memoryBefore;
  say(
    `no failure in ${Math.round(seconds())} s; the longest case ${longestMs.toFixed(0)} ms, memory ${grown} MiB more`,
  );
  return disturbCoordinator(Math.ceil((cases * LIVE_SHARE) / 100), seed);
});

function keepFailure({ target, seed, cases, failure }: Report): ExitCode {
  const { case: one, error } = failure!;
  const broke = messageOf(error).split('\n')[0]!;
  const path = addToCorpus(`${target}-seed-${seed}`, { target, broke, case: one });
  say(`${target}, seed ${seed}, case ${cases}: ${textOfError(error)}`);
  say(textOf(one));
  say(`kept as ${path}: say in it what it broke, mend that, and leave it there`);
  return ExitCode.internal;
}

async function disturbCoordinator(frames: number, seed: number): Promise<ExitCode> {
  try {
    const { connections, rounds, lagMs, growthMiB, ...live } = await fuzzCoordinator({ frames, seed });
    say(
      `a coordinator got ${live.frames} frames over ${connections} connections: others were taught in ${rounds} rounds; ` +
        `${lagMs.toFixed(0)} ms to an answer at worst, memory ${growthMiB.toFixed(0)} MiB more`,
    );
    return lagMs < MOST_LAG_MS && growthMiB < MOST_GROWTH_MIB ? ExitCode.ok : ExitCode.internal;
  } catch (error) {
    say(`a coordinator, seed ${seed}, ${frames} frames: ${textOfError(error)}`);
    return ExitCode.internal;
  }
}

function textOfError(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
