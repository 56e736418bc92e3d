import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Option } from 'commander';
import { createCommand } from '../../src/config/commandLine.ts';
import { ExitCode, UsageError } from '../../src/errors.ts';
import { runProgram } from '../../src/program.ts';
import { json } from '../../src/results/files.ts';
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
    .addOption(new Option('--all', 'also those that take minutes').default(false))
    .addOption(
      new Option('--times <count>', 'how often to run each, with one seed after the other').default('1'),
    )
    .addOption(new Option('--minutes <count>', 'how long drills 31 and 37 go on'))
    .addOption(new Option('--seed <number>', 'decides everything that is left to chance').default('0'))
    .addOption(new Option('--json', 'print JSON on stdout instead of a table').default(false));
  command.addOption(new Option('--markdown', 'print the table of coordinator/README.md').default(false));
  command.parse(process.argv.slice(2), { from: 'user' });
  const options = command.opts<{
    all: boolean;
    times: string;
    seed: string;
    minutes?: string;
    json: boolean;
    markdown: boolean;
  }>();
  const numbers = command.args.map((text) => wholeNumber('a drill', text));
  const unknown = numbers.find((number) => !drills.some((drill) => drill.number === number));
  if (unknown !== undefined) {
    const known = drills.map(({ number }) => number).join(', ');
    throw new UsageError(`${unknown}: expected the number of a drill: ${known}.`);
  }
  const chosen = drills.filter(({ number, long }) =>
    numbers.length > 0 ? numbers.includes(number) : options.all || !long,
  );
  const [times, seed] = [wholeNumber('--times', options.times), wholeNumber('--seed', options.seed)];
  const minutes = options.minutes === undefined ? null : wholeNumber('--minutes', options.minutes);
  if (minutes === 0) throw new UsageError('--minutes: expected 1 or more, got 0.');
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

function wholeNumber(what: string, text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new UsageError(`${what}: expected a whole number, got "${text}".`);
}
