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
import { methodsOf } from '../../src/results/compare.ts';
import { readNdjson } from '../../src/results/files.ts';
import { compareFolder, readSummary } from '../../src/results/runFolder.ts';
import type { Evaluation, MetricsRecord, RunSummary } from '../../src/results/types.ts';

const resultsFolder = join(projectRoot, 'test', 'experiments', 'results');

/** A peer's quality at the end, and its accuracy at the epoch at which that was highest: chosen by the test set. */
type Result = Evaluation & { readonly best?: number };

/** What one seed gave: the result of each peer, and of the ensemble, under each method. */
interface SeedResult {
  readonly seed: number;
  readonly methods: Readonly<Record<string, Readonly<Record<string, Result>>>>;
  readonly missed: number;
}

interface Results {
  readonly name: string;
  readonly command: string;
  readonly machine: RunSummary['machine'];
  readonly peers: Readonly<Record<string, string>>;
  readonly seeds: readonly SeedResult[];
}

const folderOf = (name: string, seed: number): string =>
  join(projectRoot, 'runs', 'seeds', name, String(seed));

async function runSeed(name: string, seed: number, args: readonly string[]): Promise<SeedResult> {
  const folder = folderOf(name, seed);
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
  return seedResult(seed, folder);
}

async function seedResult(seed: number, folder: string): Promise<SeedResult> {
  const summary = await readSummary(folder);
  const results: Record<string, Record<string, Result>> = {};
  for (const { method, peers, ensemble } of methodsOf(summary)) {
    const metrics = method === summary.method ? folder : compareFolder(folder, method);
    const records = (await readNdjson(join(metrics, 'metrics.ndjson'))) as MetricsRecord[];
    const evaluations = records.filter((record) => record.kind === 'evaluation');
    const ofPeers = peers.map(({ name, test }) => {
      const accuracies = evaluations.filter(({ peer }) => peer === name).map(({ accuracy }) => accuracy);
      return [name, { ...test, best: Math.max(...accuracies) }];
    });
    results[method] = Object.fromEntries(ensemble ? [...ofPeers, ['ensemble', ensemble]] : ofPeers);
  }
  const missed = Object.values(summary.exchange.missed).reduce((sum, times) => sum + times, 0);
  return { seed, methods: results, missed };
}

async function sweep(name: string, seeds: number, jobs: number, args: readonly string[]): Promise<void> {
  const waiting = Array.from({ length: seeds }, (_, seed) => seed);
  const results: SeedResult[] = [];
  const worker = async (): Promise<void> => {
    for (let seed = waiting.shift(); seed !== undefined; seed = waiting.shift()) {
      results.push(await runSeed(name, seed, args));
      process.stderr.write(`${name}: seed ${seed} done\n`);
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  const { machine, peers } = await readSummary(folderOf(name, 0));
  const file: Results = {
    name,
    command: `codistill run ${args.join(' ')} --seed 0..${seeds - 1}`,
    machine,
    peers: Object.fromEntries(peers.map((peer) => [peer.name, peer.model])),
    seeds: results.sort((a, b) => a.seed - b.seed),
  };
  await mkdir(resultsFolder, { recursive: true });
  const path = join(resultsFolder, `${name}.json`);
  await writeFile(path, `${JSON.stringify(file, null, 1)}\n`);
  table(path);
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
    `| peer | method | accuracy % | NLL | ECE % | best epoch % | ${first} minus it, points (least, most) |`,
    '|---|---|---|---|---|---|---|',
  ];
  /** The peers' mean, seed by seed; `who` is a peer, or `mean`. */
  const values = (method: string, who: string, measure: keyof Result): number[] =>
    seeds.map(({ methods }) => {
      const evaluations = methods[method]!;
      if (who !== 'mean') return evaluations[who]![measure]!;
      return mean(Object.keys(peers).map((peer) => evaluations[peer]![measure]!));
    });
  for (const who of [...Object.keys(peers), 'mean', 'ensemble']) {
    for (const method of [first!, ...others]) {
      const show = (measure: keyof Result, scale: number, digits: number): string => {
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
        `| ${who} | ${method} | ${show('accuracy', 100, 2)} | ${show('nll', 1, 3)} | ${show('ece', 100, 1)} | ${who === 'ensemble' ? '' : show('best', 100, 2)} | ${gain} |`,
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
