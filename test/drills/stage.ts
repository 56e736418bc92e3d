import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseDuration } from '../../src/config/duration.ts';
import { projectRoot } from '../../src/paths.ts';
import { createRandom, type Random } from '../../src/random.ts';
import type { EventRecord, RunSummary } from '../../src/results/types.ts';
import { createHistory, type History } from './history.ts';
import { type Program, type ProgramOptions, type Puppet, startProgram, startPuppet } from './programs.ts';
import { type FaultProxy, startProxy } from './proxy.ts';
import {
  createScriptedPeer,
  type Facts,
  type ScriptedPeer,
  type ScriptedPeerOptions,
  WANTS,
} from './scriptedPeer.ts';

/** The run of a drill: short intervals, tensors of a few numbers. */
export interface RunOptions {
  readonly peers?: number;
  readonly maxWait?: string;
  readonly lease?: string;
  readonly quorum?: string;
  readonly rows?: number;
  readonly classes?: number;
  readonly codec?: 'float16' | 'float32';
  /** Further flags of the coordinator. */
  readonly args?: readonly string[];
  /** Whether all its peers are scripted ones; otherwise they train. */
  readonly scripted?: boolean;
  /** See {@link Facts}: its targets cannot be made again. */
  readonly light?: boolean;
  /** The run folder and port of one that has ended, to go on with it. */
  readonly folder?: string;
  readonly port?: string;
}

export type ProgramExtras = Pick<ProgramOptions, 'env' | 'prefix' | 'nodeFlags'>;

export interface Coordinator extends Program {
  /** Such as `ws://127.0.0.1:40123`. */
  readonly url: string;
  readonly folder: string;
  /** Of the peers, in the order of sums. */
  readonly names: readonly string[];
  readonly facts: Facts;
  /** What it has recorded so far. */
  events(): EventRecord[];
  /** Resolves with the first record like that. */
  event(event: string, peer?: string): Promise<EventRecord>;
  /** Milliseconds in which it answers a request. */
  probe(): Promise<number>;
  summary(): RunSummary;
}

/** Everything that a drill plays on; ends with it. */
export interface Stage {
  readonly seed: number;
  /** How long to go on, where a drill can be of any length; `null`: its own. */
  readonly minutes: number | null;
  readonly random: Random;
  readonly folder: string;
  readonly history: History;
  coordinator(options?: RunOptions, extras?: ProgramExtras): Promise<Coordinator>;
  /** A training peer. */
  student(label: string, url: string, args?: readonly string[], extras?: ProgramExtras): Program;
  puppet(label: string, extras?: ProgramExtras): Promise<Puppet>;
  /** Asks a coordinator whether it lives, from another process; call the result for the slowest answer in milliseconds. */
  probing(at: Coordinator): Promise<() => Promise<number>>;
  scripted(name: string, at: Coordinator, changes?: Partial<ScriptedPeerOptions>): ScriptedPeer;
  /** Peers of all places of a run that is scripted, at work. */
  cast(at: Coordinator, changes?: (name: string) => Partial<ScriptedPeerOptions>): Promise<ScriptedPeer[]>;
  proxy(target: string): Promise<FaultProxy>;
  /** Writes down what the drill does to somebody. */
  fault(what: string, peer?: string): void;
  /** Writes down a number that a promise bounds. */
  bound(promise: string, what: string, value: number, most: number, unit: string): void;
  /** Asks a coordinator to end, once its scripted peers are gone: it would wait for them. */
  finish(coordinator: Coordinator): void;
  /** Adds what a coordinator has recorded to the history, once it has ended. */
  collect(coordinator: Coordinator): Promise<void>;
  /** Ends all that runs. */
  end(): Promise<void>;
}

/** Data of which every checkout has a copy. */
export const EMBEDDED = join(projectRoot, 'src', 'datasets', 'embedded', 'fashion-mnist');

/** Training peers have this little to do: 24 steps, with targets from the third on. */
const TRAINING = [
  ...['--train-size', '256', '--test-size', '100', '--batch-size', '64', '--epochs', '6'],
  ...['--evaluate-every', '6', '--burn-in-steps', '2', '--ramp-up-steps', '0'],
];

export function createStage(seed: number, minutes: number | null, folder: string): Stage {
  mkdirSync(folder, { recursive: true });
  const history = createHistory();
  const programs: Program[] = [];
  const proxies: FaultProxy[] = [];
  const scripted: ScriptedPeer[] = [];
  const collected = new Set<string>();
  const coordinators: Coordinator[] = [];
  let lives = 0;
  const logFile = (name: string): string => join(folder, `${name}.log`);

  const stage: Stage = {
    seed,
    minutes,
    random: createRandom(seed, 'drill'),
    folder,
    history,
    async coordinator(options = {}, extras = {}) {
      const { peers = 3, maxWait = '2s', lease = '3s', quorum = '1', rows = 4, classes = 3 } = options;
      const {
        codec = 'float32',
        args = [],
        scripted: isScripted = true,
        light = false,
        port = '0',
      } = options;
      const runFolder = options.folder ?? join(folder, `run-${coordinators.length + 1}`);
      const work = isScripted
        ? ['--batch-size', `${rows}`, '--train-size', '4096', '--epochs', '1000', '--burn-in-steps', '0']
        : TRAINING;
      const program = startProgram(
        {
          ...{
            name: 'coordinator',
            entry: 'coordinator/main.js',
            logFile: logFile('coordinator'),
            ...extras,
          },
          args: [
            ...['--name', 'drill', '--port', port, '--dir', runFolder, '--peers', `${peers}xmlp`],
            ...['--seed', `${seed}`, '--max-wait', maxWait, '--lease', lease, '--quorum', quorum],
            ...['--codec', codec, ...work, ...args],
          ],
        },
        history,
      );
      programs.push(program);
      const listening = JSON.parse(await program.logged(/"msg":"listening"/)) as {
        url: string;
        peers: string[];
      };
      history.add({
        ...{
          kind: 'settings',
          folder: runFolder,
          rows,
          classes,
          codec,
          temperature: WANTS.temperature,
          complete: isScripted && !light,
        },
        quorum: quorum === 'all' ? 'all' : Number(quorum),
        ...{ maxWaitMs: parseDuration(maxWait), leaseMs: parseDuration(lease) },
      });
      const coordinator: Coordinator = {
        ...program,
        url: listening.url.replace('http', 'ws'),
        folder: runFolder,
        names: [...listening.peers].sort(),
        facts: { rows, classes, codec, seed, light },
        events: () => readLines(join(runFolder, 'events.ndjson')),
        async event(event, peer) {
          const find = (): EventRecord | undefined =>
            coordinator.events().find((each) => each.event === event && (!peer || each.peer === peer));
          return until(find, `the event ${event} ${peer ?? ''}`);
        },
        async probe() {
          const startedAt = performance.now();
          const response = await fetch(`${listening.url}/healthz`);
          await response.arrayBuffer();
          return performance.now() - startedAt;
        },
        summary: () => JSON.parse(readFileSync(join(runFolder, 'summary.json'), 'utf8')) as RunSummary,
      };
      coordinators.push(coordinator);
      return coordinator;
    },
    student(label, url, args = [], extras = {}) {
      const program = startProgram(
        {
          ...{ name: label, entry: 'peer/main.js', logFile: logFile(label), ...extras },
          args: [
            ...['--coordinator', url, '--dir', join(folder, label), '--data-dir', EMBEDDED],
            ...['--backend', 'wasm', '--log-level', 'debug', ...args],
          ],
        },
        history,
      );
      programs.push(program);
      return program;
    },
    async puppet(label, extras = {}) {
      const puppet = await startPuppet({ name: label, logFile: logFile(label), ...extras }, history);
      programs.push(puppet);
      return puppet;
    },
    async probing(at) {
      const program = startProgram(
        {
          ...{ name: 'prober', entry: 'test/drills/prober.js', logFile: logFile('prober') },
          args: [at.url.replace('ws', 'http')],
        },
        history,
      );
      programs.push(program);
      const told = (): Promise<{ slowest: number }> =>
        new Promise((resolve) => program.child.once('message', (message) => resolve(message as never)));
      await told();
      return async () => {
        const answer = told();
        program.child.send('enough');
        return (await answer).slowest;
      };
    },
    scripted(name, { url, facts }, changes = {}) {
      lives += 1;
      const peer = createScriptedPeer({
        name,
        url,
        facts,
        history,
        life: `life-${lives}-of-${name}`,
        ...changes,
      });
      scripted.push(peer);
      return peer;
    },
    async cast(at, changes = () => ({})) {
      const peers = at.names.map((name) => stage.scripted(name, at, changes(name)));
      await Promise.all(peers.map((peer) => peer.join()));
      await Promise.all(peers.map((peer) => peer.next('start')));
      for (const peer of peers) peer.progress();
      return peers;
    },
    async proxy(target) {
      const proxy = await startProxy(target, seed);
      proxies.push(proxy);
      return proxy;
    },
    fault: (what, peer) => history.add({ kind: 'fault', what, ...(peer && { peer }) }),
    bound: (promise, what, value, most, unit) =>
      history.add({ kind: 'bound', promise, what, value, most, unit }),
    finish(coordinator) {
      for (const peer of scripted) if (peer.isOpen()) peer.link.terminate();
      coordinator.kill('SIGTERM');
    },
    async collect(coordinator) {
      const { folder: its } = coordinator;
      await coordinator.exited;
      // One that was started again in the folder of another has recorded what came before, too.
      if (collected.has(its) || coordinators.findLast((each) => each.folder === its) !== coordinator) return;
      collected.add(its);
      for (const event of coordinator.events()) history.add({ kind: 'event', ...event });
      if (!existsSync(join(coordinator.folder, 'summary.json'))) return;
      const { exchange } = coordinator.summary();
      const { rounds, missed, frames, contributions, answers, pieces } = exchange;
      const traffic = { frames: frames!, contributions: contributions!, answers: answers!, pieces: pieces! };
      history.add({ kind: 'summary', committed: rounds, missed, traffic });
    },
    async end() {
      for (const program of programs) program.kill('SIGCONT');
      for (const coordinator of coordinators) stage.finish(coordinator);
      await Promise.all(coordinators.map((coordinator) => stage.collect(coordinator)));
      for (const program of programs) program.kill('SIGKILL');
      await Promise.all(programs.map(({ exited }) => exited));
      await Promise.all(proxies.map((proxy) => proxy.close()));
    },
  };
  return stage;
}

/** The whole lines of a file that may be growing; none when there is no such file, or it is a device. */
function readLines(path: string): EventRecord[] {
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) return [];
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as EventRecord);
}

/** How often to look for what nobody tells, and how long at most, in milliseconds. */
const LOOK_EVERY_MS = 20;
const PATIENCE_MS = 30_000;

/** Waits for a condition, with a deadline. */
export async function until<T>(
  find: () => T | undefined | false,
  what: string,
  ms = PATIENCE_MS,
): Promise<T> {
  const deadline = performance.now() + ms;
  for (;;) {
    const found = find();
    if (found) return found;
    if (performance.now() > deadline) throw new Error(`${what}: expected within ${ms} ms`);
    await pass(LOOK_EVERY_MS);
  }
}

/** Lets time pass, where that nothing happens in it is what is to be seen. */
export const pass = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
