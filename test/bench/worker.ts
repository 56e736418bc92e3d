import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface, type Interface } from 'node:readline';

/** A child process that answers each line of JSON with one line of JSON, and waits without computing in between. */
export interface Worker {
  ask<Answer>(request: unknown): Promise<Answer>;
  /** Ends the process. */
  end(): Promise<void>;
}

/**
 * Starts a worker.
 *
 * @param env variables that it gets besides those of this process
 */
export function startWorker(
  command: readonly [program: string, ...args: string[]],
  env: Readonly<Record<string, string>> = {},
): Worker {
  const [program, ...args] = command;
  const child: ChildProcess = spawn(program, args, {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  const exited = new Promise<void>((resolve) => child.on('close', () => resolve()));
  const lines: Interface = createInterface({ input: child.stdout! });
  const answers = lines[Symbol.asyncIterator]();
  return {
    async ask<Answer>(request: unknown) {
      child.stdin!.write(`${JSON.stringify(request)}\n`);
      const { value, done } = await answers.next();
      if (done) throw new Error(`${command.join(' ')} ended with exit code ${child.exitCode}`);
      return JSON.parse(value as string) as Answer;
    },
    async end() {
      child.stdin!.end();
      await exited;
    },
  };
}

/** The worker's side: answers each request on stdin, one after the other, until there are no more. */
export async function serve(answer: (request: unknown) => Promise<unknown>): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line)))}\n`);
  }
}
