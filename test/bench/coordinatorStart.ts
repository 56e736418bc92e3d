/**
 * Times the start of the coordinator's process, from its launch to the moment when peers can join.
 *
 *     npm run setup && node dist/test/bench/coordinatorStart.js
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startProgram } from '../../src/launch/program.ts';

const RUNS = 15;
const TARGET_MS = 300;

const folder = mkdtempSync(join(tmpdir(), 'codistill-'));
const times: number[] = [];
for (let i = 0; i < RUNS; i++) {
  const startedAt = performance.now();
  const program = await startProgram({
    name: 'coordinator',
    entry: 'coordinator/main.js',
    args: ['quickstart', '--port', '0', '--dir', join(folder, String(i))],
    logFile: join(folder, `${i}.log`),
  });
  await program.logged('listening');
  times.push(performance.now() - startedAt);
  program.kill('SIGKILL');
  await program.exited;
}
rmSync(folder, { recursive: true });
times.sort((a, b) => a - b);
const [least, median, most] = [times[0]!, times[Math.floor(RUNS / 2)]!, times.at(-1)!].map((ms) =>
  ms.toFixed(0),
);
process.stdout.write(
  `coordinator ready after ${median} ms (least ${least}, most ${most}, ${RUNS} starts); target: under ${TARGET_MS}\n`,
);
