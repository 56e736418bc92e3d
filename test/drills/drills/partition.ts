import { execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';
import type { RunStatus } from '../../../src/results/types.ts';
import type { Drill } from '../drill.ts';
import { type Coordinator, pass, type Stage } from '../stage.ts';
import { comesBack } from './silence.ts';

const run = promisify(execFile);

/** A network of its own, whose only cable can be pulled. */
interface Network {
  /** What runs a program in it. */
  readonly prefix: readonly string[];
  up(on: boolean): Promise<void>;
  close(): void;
}

/** @throws where this user may have no network namespaces */
async function openNetwork(): Promise<Network> {
  const holder = spawn('unshare', ['-rn', 'sleep', '600'], { stdio: 'ignore' });
  const prefix = ['nsenter', '-t', `${holder.pid}`, '-U', '-n', '--preserve-credentials'];
  const [command, ...args] = prefix;
  const up = async (on: boolean): Promise<void> => {
    await run(command!, [...args, 'ip', 'link', 'set', 'lo', on ? 'up' : 'down']);
  };
  const close = (): void => void holder.kill('SIGKILL');
  for (let tries = 0; ; tries++) {
    try {
      // The holder needs a moment to be in a namespace of its own; before that, this is refused or is about the wrong one.
      const { stdout } = await run(command!, [...args, 'ip', '-o', 'link', 'show']);
      if (stdout.trim().split('\n').length === 1 && stdout.includes('state DOWN')) break;
    } catch (error) {
      if (tries > 50) {
        close();
        throw error;
      }
    }
    await pass(20);
  }
  await up(true);
  return { prefix, up, close };
}

const PARTITION_MS = 10_000;
const OPTIONS = {
  ...{ scripted: false, peers: 2, quorum: 'all', lease: '20s' },
  args: ['--on-coordinator-loss', 'wait', '--epochs', '5000', '--evaluate-every', '5000'],
};

export const partition: Drill = {
  number: 9,
  title: `nobody reaches anybody for ${PARTITION_MS / 1000} s`,
  promises: ['P6', 'P7', 'P8'],
  criterion: 'nothing is decided meanwhile; the same run goes on within 10 s after it',
  long: true,
  async run(stage) {
    let network: Network | null = null;
    try {
      network = await openNetwork();
    } catch {
      // Not allowed here: proxies that swallow everything are the next best thing.
    }
    try {
      return await (network ? inNetwork(stage, network) : behindProxies(stage));
    } finally {
      network?.close();
    }
  },
};

async function inNetwork(stage: Stage, { prefix, up }: Network) {
  const coordinator = await stage.coordinator(OPTIONS, { prefix });
  for (const name of coordinator.names) stage.student(name, coordinator.url, ['--name', name], { prefix });
  const [command, ...args] = prefix;
  const script = `fetch('${coordinator.url.replace('ws', 'http')}/status.json').then((r) => r.text()).then(console.log)`;
  const committed = async (): Promise<number> => {
    const { stdout } = await run(command!, [...args, process.execPath, '-e', script]);
    return (JSON.parse(stdout) as RunStatus).rounds.committed;
  };
  return measure(stage, coordinator, committed, up, 'a network of its own, its interface down');
}

async function behindProxies(stage: Stage) {
  const coordinator = await stage.coordinator(OPTIONS);
  const proxy = await stage.proxy(coordinator.url);
  for (const name of coordinator.names) stage.student(name, proxy.url, ['--name', name]);
  const committed = async (): Promise<number> => {
    const response = await fetch(`${coordinator.url.replace('ws', 'http')}/status.json`);
    return ((await response.json()) as RunStatus).rounds.committed;
  };
  const up = async (on: boolean): Promise<void> => proxy.set('both', { blackhole: !on });
  return measure(stage, coordinator, committed, up, 'proxies that swallow everything');
}

async function measure(
  stage: Stage,
  coordinator: Coordinator,
  committed: () => Promise<number>,
  up: (on: boolean) => Promise<void>,
  how: string,
) {
  await coordinator.event('started');
  const atLeast = async (count: number): Promise<number> => {
    for (let tries = 0; tries < 300; tries++) {
      const now = await committed();
      if (now >= count) return now;
      await pass(100);
    }
    throw new Error(`expected ${count} rounds within 30 s`);
  };
  await atLeast(20);
  for (const name of coordinator.names) stage.fault('cut off', name);
  await up(false);
  await pass(PARTITION_MS);
  const lost = coordinator.events().filter(({ event }) => event === 'lost').length;
  await up(true);
  const healedAt = performance.now();
  const before = await committed();
  await atLeast(before + 1);
  const seconds = (performance.now() - healedAt) / 1000;
  const left = coordinator
    .events()
    .filter(({ event }) => event === 'left')
    .map(({ peer }) => peer!);
  await Promise.all([...new Set(left)].map((name) => comesBack(coordinator, name)));
  return {
    passed: lost === 0 && seconds <= 10,
    measured: `${lost} given up; a round ${seconds.toFixed(1)} s after it (${how})`,
  };
}
