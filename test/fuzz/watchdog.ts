import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

/** Time that one case may take before it counts as a hang, in milliseconds. */
const LIMIT_MS = 30_000;

/** Runs in a thread of its own, as a program that hangs can say nothing itself. */
const WATCH = `
  const { workerData } = require('node:worker_threads');
  const { writeSync } = require('node:fs');
  let last = -1;
  let since = Date.now();
  setInterval(() => {
    const cases = Atomics.load(workerData.cases, 0);
    if (cases !== last) {
      last = cases;
      since = Date.now();
    } else if (Date.now() - since > workerData.limitMs) {
      writeSync(2, workerData.what + ': case ' + cases + ' hangs\\n');
      process.kill(process.pid, 'SIGKILL');
    }
  }, 500);
`;

/** Ends this program, and says at which case, when there is no next case for long. */
export interface Watchdog {
  /** Another case begins. */
  next(): void;
  stop(): Promise<void>;
}

/** @param what begins the message */
export async function startWatchdog(what: string, limitMs = LIMIT_MS): Promise<Watchdog> {
  const cases = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(WATCH, { eval: true, execArgv: [], workerData: { cases, what, limitMs } });
  await once(worker, 'online');
  worker.unref();
  return {
    next: () => void Atomics.add(cases, 0, 1),
    async stop() {
      await worker.terminate();
    },
  };
}
