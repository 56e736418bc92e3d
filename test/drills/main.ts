import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCommand } from '../../src/config/commandLine.ts';
import { ExitCode, UsageError } from '../../src/errors.ts';
import { runProgram } from '../../src/program.ts';
import { json } from '../../src/results/files.ts';
import { wholeNumber } from '../support/wholeNumber.ts';
import { drills } from './drills/index.ts';
import { type Result, runDrill } from './runDrill.ts';
import { markdown, scorecard } from './scorecard.ts';

// What a coordinator's end breaks fails in several places at once; a drill tells of the first, and the others are no news.
process.on('unhandledRejection', () => {});

await runProgram(async () => {
  const command = createCommand(
    'codistill drills',
    'Breaks runs on purpose, on this machine, and tells what held.',
  )
    .argument('[numbers...]', 'drills to run; all that take seconds by default')
    .option('--all', 'also those that take minutes', false)
    .option('--times <number>', 'how often to run each, with one seed after the other', wholeNumber(1), 1)
    .option('--minutes <number>', 'how long drills 31 and 37 go on', wholeNumber(1))
    .option('--seed <number>', 'decides everything that is left to chance', wholeNumber(0), 0)
    .option('--json', 'print JSON on stdout instead of a table', false)
    .option('--markdown', 'print the table of coordinator/README.md', false)
    .parse();
  const options = command.opts<{
    all: boolean;
    times: number;
    seed: number;
    minutes?: number;
    json: boolean;
    markdown: boolean;
  }>();
  const unknown = command.args.find((text) => !drills.some(({ number }) => String(number) === text));
  if (unknown !== undefined) {
    const known = drills.map(({ number }) => number).join(', ');
    throw new UsageError(`${unknown}: expected the number of a drill: ${known}.`);
  }
  const chosen = drills.filter(({ number, long }) =>
    command.args.length > 0 ? command.args.includes(String(number)) : options.all || !long,
  );
  const { times, seed, minutes = null } = options;
  const folder = await mkdtemp(join(tmpdir(), 'codistill-drills-'));
  const results: Result[] = [];
  for (const drill of chosen) {
    for (let time = 0; time < times; time++) {
      process.stderr.write(`${drill.number} ${drill.title} ... `);
      const result = await runDrill(drill, folder, seed + time, minutes);
      results.push(result);
      process.stderr.write(`${result.passed ? 'passed' : 'FAILED'} (${result.seconds.toFixed(1)} s)\n`);
    }
  }
  const print = options.json ? json : options.markdown ? markdown : scorecard;
  process.stdout.write(print(results));
  process.stderr.write(`Histories and logs: ${folder}\n`);
  return results.every(({ passed }) => passed) ? ExitCode.ok : ExitCode.internal;
});
