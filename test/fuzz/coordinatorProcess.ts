import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { programPath } from '../../src/paths.ts';

/** A coordinator in a process of its own. */
export interface Coordinator {
  /** Where peers connect. */
  readonly url: string;
  /** Asks for `/healthz`. @returns the time to the answer in milliseconds: of computing, where the system tells it */
  lagMs(): Promise<number>;
  memoryMiB(): number;
  /** Fails when it has ended by itself. */
  expectAlive(): void;
  /** Ends it, and removes its folder. @throws when it had ended before, or does not leave as it should */
  stop(): Promise<void>;
}

/** Lines of its log that are kept for a failure. */
const KEPT_LINES = 30;

export async function startCoordinator(experiment: object): Promise<Coordinator> {
  const folder = mkdtempSync(join(tmpdir(), 'codistill-fuzz-'));
  const file = join(folder, 'experiment.yaml');
  writeFileSync(file, JSON.stringify(experiment));
  const args = [file, '--port', '0', '--dir', join(folder, 'run')];
  const child = spawn(process.execPath, [programPath('coordinator/main.js'), ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const lines: string[] = [];
  const listening = new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stderr }).on('line', (line) => {
      lines.push(line);
      if (lines.length > KEPT_LINES) lines.shift();
      if (line.includes('"listening"')) resolve(JSON.parse(line).url);
    });
    child.once('exit', (code) =>
      reject(new Error(`the coordinator ended with code ${code}:\n${lines.join('\n')}`)),
    );
  });
  listening.catch(() => rmSync(folder, { recursive: true, force: true }));
  const url = await listening;
  const pid = child.pid!;
  const expectAlive = (): void => {
    if (child.exitCode === null && child.signalCode === null) return;
    const how = child.exitCode ?? child.signalCode;
    throw new Error(`the coordinator ended by itself, with ${how}:\n${lines.join('\n')}`);
  };
  return {
    url: `${url.replace('http', 'ws')}/ws`,
    memoryMiB: () => memoryMiB(pid),
    expectAlive,
    async lagMs() {
      const computedBefore = computedMs(pid);
      const startedAt = performance.now();
      const response = await fetch(`${url}/healthz`);
      await response.text();
      const computedAfter = computedMs(pid);
      if (!response.ok) throw new Error(`/healthz: expected 200, got ${response.status}`);
      if (computedBefore === null || computedAfter === null) return performance.now() - startedAt;
      return computedAfter - computedBefore;
    },
    async stop() {
      try {
        expectAlive();
        const exited = once(child, 'exit');
        child.kill('SIGTERM');
        const [code] = await exited;
        if (code !== 0)
          throw new Error(`expected the coordinator to leave with 0, got ${code}:\n${lines.join('\n')}`);
      } finally {
        child.kill('SIGKILL');
        rmSync(folder, { recursive: true, force: true });
      }
    },
  };
}

/** Time that the process' main thread has computed for: other programs of the machine do not count. */
function computedMs(pid: number): number | null {
  const file = `/proc/${pid}/schedstat`;
  if (!existsSync(file)) return null;
  return Number(readFileSync(file, 'utf8').split(' ')[0]) / 1e6;
}

function memoryMiB(pid: number): number {
  const kibibytes = execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' });
  return Number(kibibytes) / 1024;
}
