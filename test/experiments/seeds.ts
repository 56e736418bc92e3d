/**
 * Compares methods over seeds: runs an experiment once for each seed through the `codistill` command, one run at a time
 * or several, and writes what came out as one JSON file. A seed whose run folder has a summary is not run again, so the
 * command can be stopped and started at will.
 *
 *     node dist/test/experiments/seeds.js <name> <seeds> <jobs> -- <arguments of codistill run>
 *     node dist/test/experiments/seeds.js table <file.json>...
 */
import { spawn } from 'node:child_process';
import { existsSync, openSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { programPath, projectRoot } from '../../src/paths.ts';
import type { Evaluation, MethodSummary, RunSummary } from '../../src/results/types.ts';

const resultsFolder = join(projectRoot, 'test', 'experiments', 'results');

/** What one seed gave: the evaluation of each peer under each method. */
interface SeedResult {
  readonly seed: number;
  readonly methods: Readonly<Record<string, Readonly<Record<string, Evaluation>>>>;
  readonly missed: number;
}

interface Results {
  readonly name: string;
  readonly command: string;
  readonly machine: RunSummary['machine'];
  readonly peers: Readonly<Record<string, string>>;
  readonly seeds: readonly SeedResult[];
}

async function runSeed(name: string, seed: number, args: readonly string[]): Promise<RunSummary> {
  const folder = join(projectRoot, 'runs', 'seeds', name, String(seed));
  const summary = join(folder, 'summary.json');
  if (!existsSync(summary)) {
    await mkdir(folder, { recursive: true });
    const log = openSync(join(folder, 'run.log'), 'w');
    const command = [
      programPath('src/launch/main.js'),
      'run',
      ...args,
      '--seed',
      String(seed),
      '--dir',
      folder,
    ];
    const child = spawn(process.execPath, command, { stdio: ['ignore', log, log] });
    const code = await new Promise((resolve) => child.on('exit', resolve));
    if (code !== 0) throw new Error(`${name}, seed ${seed}: exit code ${code}, see ${folder}/run.log`);
  }
  return JSON.parse(readFileSync(summary, 'utf8')) as RunSummary;
}

function seedResult(seed: number, summary: RunSummary): SeedResult {
  const methods = [summary as MethodSummary, ...Object.values(summary.compare)].map((method) => {
    const peers = method.peers.map(({ name, test }) => [name, test]);
    const all = method.ensemble ? [...peers, ['ensemble', method.ensemble]] : peers;
    return [method.method, Object.fromEntries(all)];
  });
  const missed = Object.values(summary.exchange.missed).reduce((sum, times) => sum + times, 0);
  return { seed, methods: Object.fromEntries(methods), missed };
}

async function sweep(name: string, seeds: number, jobs: number, args: readonly string[]): Promise<void> {
  const waiting = Array.from({ length: seeds }, (_, seed) => seed);
  const summaries = new Map<number, RunSummary>();
  const worker = async (): Promise<void> => {
    for (let seed = waiting.shift(); seed !== undefined; seed = waiting.shift()) {
      summaries.set(seed, await runSeed(name, seed, args));
      process.stderr.write(`${name}: seed ${seed} done\n`);
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  const { machine, peers } = summaries.get(0)!;
  const results: Results = {
    name,
    command: `codistill run ${args.join(' ')} --seed 0..${seeds - 1}`,
    machine,
    peers: Object.fromEntries(peers.map((peer) => [peer.name, peer.model])),
    seeds: [...summaries].sort(([a], [b]) => a - b).map(([seed, summary]) => seedResult(seed, summary)),
  };
  await mkdir(resultsFolder, { recursive: true });
  const file = join(resultsFolder, `${name}.json`);
  await writeFile(file, `${JSON.stringify(results, null, 1)}\n`);
  table(file);
}

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

/** Of a sample: n - 1 in the denominator. */
function deviation(values: readonly number[]): number {
  const center = mean(values);
  return Math.sqrt(
    values.reduce((sum, value) => sum + (value - center) ** 2, 0) / Math.max(1, values.length - 1),
  );
}

/** The results as a Markdown table: mean ± standard deviation over seeds, and the paired difference. */
function table(file: string): void {
  const { name, command, seeds, peers } = JSON.parse(readFileSync(file, 'utf8')) as Results;
  const [first, ...others] = Object.keys(seeds[0]!.methods);
  const lines = [
    `### ${name}: \`${command}\``,
    '',
    `| peer | method | accuracy % | NLL | ECE % | ${first} minus it, points (least, most) |`,
    '|---|---|---|---|---|---|',
  ];
  /** The peers' mean, seed by seed; `who` is a peer, or `mean`. */
  const values = (method: string, who: string, measure: keyof Evaluation): number[] =>
    seeds.map(({ methods }) => {
      const evaluations = methods[method]!;
      if (who !== 'mean') return evaluations[who]![measure];
      return mean(Object.keys(peers).map((peer) => evaluations[peer]![measure]));
    });
  for (const who of [...Object.keys(peers), 'mean', 'ensemble']) {
    for (const method of [first!, ...others]) {
      const show = (measure: keyof Evaluation, scale: number, digits: number): string => {
        const all = values(method, who, measure).map((value) => value * scale);
        return `${mean(all).toFixed(digits)} ± ${deviation(all).toFixed(digits)}`;
      };
      const ours = values(first!, who, 'accuracy');
      const gains = values(method, who, 'accuracy').map((theirs, i) => (ours[i]! - theirs) * 100);
      const gain =
        method === first
          ? ''
          : `${mean(gains).toFixed(2)} ± ${deviation(gains).toFixed(2)} (${Math.min(...gains).toFixed(2)}, ${Math.max(...gains).toFixed(2)})`;
      lines.push(
        `| ${who} | ${method} | ${show('accuracy', 100, 2)} | ${show('nll', 1, 3)} | ${show('ece', 100, 1)} | ${gain} |`,
      );
    }
  }
  process.stdout.write(`${lines.join('\n')}\n\n`);
}

const [name, ...rest] = process.argv.slice(2);
if (name === 'table') {
  for (const file of rest) table(file);
} else {
  const dashes = rest.indexOf('--');
  await sweep(name!, Number(rest[0]), Number(rest[1]), rest.slice(dashes + 1));
}
