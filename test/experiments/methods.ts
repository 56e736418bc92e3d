/**
 * Runs the experiment of every distillation method (src/experiments/methods) over seeds, and writes what came out as one
 * JSON file. All methods of a kind share the teacher and the students trained alone of a seed. What came to its end is
 * not run again, so the command can be stopped and started at will.
 *
 *     node dist/test/experiments/methods.js run <seeds> [<method>...]
 *     node dist/test/experiments/methods.js table
 */
import { spawn } from 'node:child_process';
import { existsSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { loadExperiment } from '../../src/config/load.ts';
import type { Experiment } from '../../src/config/schema.ts';
import { programPath, projectRoot } from '../../src/paths.ts';
import { readSummary } from '../../src/results/runFolder.ts';
import type { RunSummary } from '../../src/results/types.ts';

const experiments = join(projectRoot, 'src', 'experiments', 'methods');
const runs = join(projectRoot, 'runs', 'methods');
const resultsFile = join(projectRoot, 'test', 'experiments', 'results', 'methods.json');

/** Mean over the students of a run, at the last step. */
interface Outcome {
  readonly accuracy: number;
  readonly nll: number;
  readonly ece: number;
}

interface MethodResult {
  readonly method: string;
  readonly kind: string;
  /** One a seed. */
  readonly distilled: readonly Outcome[];
  readonly alone: readonly Outcome[];
  /** Bytes that the first peer sent, in all. */
  readonly bytesUp: number;
}

interface Results {
  readonly command: string;
  readonly date: string;
  readonly machine: RunSummary['machine'];
  readonly backend: string;
  readonly methods: readonly MethodResult[];
}

const allMethods = (): string[] =>
  readdirSync(experiments)
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => basename(file, '.yaml'));

const kindOf = ({ peers }: Experiment): string => {
  if (peers.some(({ role }) => role === 'teacher')) return 'offline';
  return peers[0]!.count > 1 ? 'online' : 'self';
};

/** Whether a folder holds a training that came to its end; one that was interrupted has a summary, too. */
async function isDone(folder: string): Promise<boolean> {
  if (!existsSync(join(folder, 'report.html'))) return false;
  const { peers } = await readSummary(folder);
  return peers.every(({ outcome }) => outcome === 'finished');
}

/** Runs an experiment in a folder of `runs/methods`, unless that was done. */
async function runOnce(name: string, seed: number, experiment: Experiment): Promise<RunSummary> {
  const folder = join(runs, name, String(seed));
  if (!(await isDone(folder))) {
    // What was interrupted begins anew.
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    const file = join(folder, 'planned.json');
    await writeFile(file, JSON.stringify({ ...experiment, seed }));
    const log = openSync(join(folder, 'run.log'), 'w');
    const args = [programPath('src/launch/main.js'), 'run', file, '--dir', folder];
    const child = spawn(process.execPath, args, { stdio: ['ignore', log, log] });
    const code = await new Promise((resolve) => child.on('exit', resolve));
    if (code !== 0) throw new Error(`${name}, seed ${seed}: exit code ${code}, see ${folder}/run.log`);
    process.stderr.write(`${name}, seed ${seed}: done\n`);
  }
  return readSummary(folder);
}

function outcomeOf({ peers }: RunSummary): Outcome {
  const tests = peers.flatMap(({ role, test }) => (role === 'student' && test ? [test] : []));
  const mean = (measure: keyof Outcome): number =>
    tests.reduce((sum, test) => sum + test[measure], 0) / tests.length;
  return { accuracy: mean('accuracy'), nll: mean('nll'), ece: mean('ece') };
}

/** The students of an experiment trained alone, and its teacher's weights where it has one. */
async function references(experiment: Experiment, seed: number) {
  const students = experiment.peers.filter(({ role }) => role === 'student');
  const alone = (peers: Experiment['peers']): Experiment => ({
    ...experiment,
    ...{ name: 'alone', distill: { ...experiment.distill, method: 'independent', options: {} } },
    ...{ exchange: { ...experiment.exchange, mode: 'lockstep' }, peers, compare: [] },
  });
  const count = students[0]!.count;
  const control = await runOnce(`alone-${count}`, seed, alone(students));
  const teacher = experiment.peers.find(({ role }) => role === 'teacher');
  if (!teacher) return { control, weights: null };
  await runOnce('teacher', seed, alone([{ ...teacher, role: 'student', name: 'teacher-1' }]));
  return { control, weights: join(runs, 'teacher', String(seed)) };
}

async function run(seeds: number, methods: readonly string[]): Promise<void> {
  const results: MethodResult[] = [];
  let last: RunSummary | null = null;
  for (const method of methods) {
    const { experiment } = await loadExperiment(method);
    const distilled: Outcome[] = [];
    const alone: Outcome[] = [];
    for (let seed = 0; seed < seeds; seed++) {
      const { control, weights } = await references(experiment, seed);
      const peers = experiment.peers.map((peer) =>
        peer.role === 'teacher' ? { ...peer, weights: weights! } : peer,
      );
      last = await runOnce(method, seed, { ...experiment, peers, compare: [] });
      distilled.push(outcomeOf(last));
      alone.push(outcomeOf(control));
    }
    const bytesUp = Math.max(...last!.peers.map((peer) => peer.bytesUp));
    results.push({ method, kind: kindOf(experiment), distilled, alone, bytesUp });
  }
  const file: Results = {
    command: `node dist/test/experiments/methods.js run ${seeds}`,
    date: new Date().toISOString().slice(0, 10),
    machine: last!.machine,
    backend: `${last!.peers[0]!.backend}, ${last!.peers[0]!.device}`,
    methods: results,
  };
  await writeFile(resultsFile, `${JSON.stringify(file, null, 1)}\n`);
  table();
}

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

/** Of a sample: n - 1 in the denominator. */
function deviation(values: readonly number[]): number {
  const squares = values.map((value) => (value - mean(values)) ** 2);
  return Math.sqrt(squares.reduce((a, b) => a + b, 0) / Math.max(1, values.length - 1));
}

/** The results as a Markdown table: mean ± standard deviation over seeds, and the paired differences. */
function table(): void {
  const { command, date, machine, backend, methods } = JSON.parse(
    readFileSync(resultsFile, 'utf8'),
  ) as Results;
  const lines = [
    `\`${command}\`, ${date}, ${machine.cpu}, ${machine.cores} cores, Node.js ${machine.node}, ${backend}`,
    '',
    '| method | kind | alone % | distilled % | gain, points (least, most) | NLL alone | NLL distilled |',
    '|---|---|---|---|---|---|---|',
    ...methods.map(({ method, kind, alone, distilled }) => {
      const percent = (outcomes: readonly Outcome[]): string => {
        const values = outcomes.map(({ accuracy }) => 100 * accuracy);
        return `${mean(values).toFixed(2)} ± ${deviation(values).toFixed(2)}`;
      };
      const nll = (outcomes: readonly Outcome[]): string => mean(outcomes.map((each) => each.nll)).toFixed(3);
      const gains = distilled.map(({ accuracy }, i) => 100 * (accuracy - alone[i]!.accuracy));
      const gain = `${mean(gains).toFixed(2)} (${Math.min(...gains).toFixed(2)}, ${Math.max(...gains).toFixed(2)})`;
      return `| ${method} | ${kind} | ${percent(alone)} | ${percent(distilled)} | ${gain} | ${nll(alone)} | ${nll(distilled)} |`;
    }),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

const [action, seeds, ...methods] = process.argv.slice(2);
if (action === 'run') await run(Number(seeds), methods.length > 0 ? methods : allMethods());
else table();
