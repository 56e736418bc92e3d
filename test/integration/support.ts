import { type ChildProcess, spawn } from 'node:child_process';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import { type Program, startProgram } from '../../src/launch/program.ts';
import { programPath, projectRoot } from '../../src/paths.ts';

/** A training that takes seconds: 4 epochs of 4 steps, distillation from the fifth step on. */
export const TINY = [
  ...['--train-size', '256', '--test-size', '100', '--batch-size', '64', '--epochs', '4'],
  ...['--burn-in-steps', '4', '--ramp-up-steps', '2'],
  ...['--data-dir', join(projectRoot, 'src', 'datasets', 'embedded', 'fashion-mnist')],
] as const;

/** The flags of {@link TINY} that a coordinator takes: it reads no data. */
export const TINY_SETTINGS: readonly string[] = TINY.slice(0, -2);
/** Those that are a peer's. */
export const TINY_DATA: readonly string[] = TINY.slice(-2);

/** So many epochs that a fault surely comes before the end. */
export const LONG = ['--epochs', '200', '--evaluate-every', '200'];

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** Done after the test, the last first. */
export function afterwards(cleanUp: () => unknown): void {
  cleanUps.push(cleanUp);
}

export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Cli {
  readonly child: ChildProcess;
  readonly finished: Promise<Finished>;
  /** Resolves when stderr has what `pattern` matches. */
  said(pattern: RegExp): Promise<void>;
}

/** Starts `codistill` as a shell in `cwd` would. */
export function startCli(args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = {}): Cli {
  const child = spawn(process.execPath, [programPath('src/launch/main.js'), ...args], {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  const waiting: { pattern: RegExp; resolve: () => void; reject: (error: Error) => void }[] = [];
  const check = (): void => {
    for (const { pattern, resolve } of waiting) if (pattern.test(stderr)) resolve();
  };
  child.stdout.on('data', (data) => {
    stdout += data;
  });
  child.stderr.on('data', (data) => {
    stderr += data;
    check();
  });
  const finished = new Promise<Finished>((resolve) => {
    child.on('close', (code) => {
      for (const { pattern, reject } of waiting) reject(new Error(`ended without ${pattern}: ${stderr}`));
      resolve({ code: code ?? -1, stdout, stderr });
    });
  });
  afterwards(async () => {
    child.kill('SIGTERM');
    await finished;
  });
  return {
    child,
    finished,
    said: (pattern) =>
      new Promise((resolve, reject) => {
        waiting.push({ pattern, resolve, reject });
        check();
      }),
  };
}

/** Runs `codistill` to its end. */
export function runCli(args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = {}): Promise<Finished> {
  return startCli(args, cwd, env).finished;
}

async function start(name: string, entry: string, args: readonly string[], folder: string): Promise<Program> {
  const program = await startProgram({ name, entry, args, logFile: join(folder, `${name}.log`) });
  afterwards(async () => {
    program.kill('SIGKILL');
    await program.exited;
  });
  return program;
}

/** A coordinator on a free port, or the one that it had before; `url` is where peers go. */
export async function startCoordinator(
  args: readonly string[],
  folder: string,
  port = '0',
): Promise<{ program: Program; url: string; runFolder: string }> {
  const runFolder = join(folder, 'run');
  const all = [...args, '--port', port, '--dir', runFolder];
  const program = await start('coordinator', 'coordinator/main.js', all, folder);
  const listening = await program.logged('listening');
  if (!listening) throw new Error(`the coordinator ended: ${program.errorText()}`);
  return { program, url: String(listening.url).replace('http', 'ws'), runFolder };
}

export function startPeer(
  label: string,
  url: string,
  folder: string,
  args: readonly string[] = [],
): Promise<Program> {
  const all = ['--coordinator', url, '--dir', join(folder, label), ...TINY_DATA, ...args];
  return start(label, 'peer/main.js', all, folder);
}

/** A relay of TCP connections whose cable can be pulled. */
export async function startRelay(target: string): Promise<{ url: string; cut: () => void }> {
  const open = new Set<Socket>();
  const { hostname, port } = new URL(target);
  const server = createServer((from) => {
    const to = connect(Number(port), hostname);
    for (const socket of [from, to]) {
      open.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        open.delete(socket);
        from.destroy();
        to.destroy();
      });
    }
    from.pipe(to).pipe(from);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = (): void => {
    for (const socket of open) socket.destroy();
  };
  afterwards(() => {
    cut();
    server.close();
  });
  return { url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`, cut };
}
