import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { ExitCode } from '../src/errors.ts';
import { programPath } from '../src/paths.ts';
import { temporaryFolder } from './support/temporaryFolder.ts';

/** Logs more than a KiB, and ends with an error, which is told on stderr as well. */
const PROGRAM = `
const [logger, program, errors] = await Promise.all(process.argv.slice(1).map((path) => import(path)));
await program.runProgram(async () => {
  const log = logger.createLogger('test', 'info');
  for (let step = 0; step < 100; step++) log.info({ step }, 'step');
  await new Promise((resolve) => setImmediate(resolve));
  console.log('came to its end');
  throw new errors.UsageError('the end');
});
`;

describe('a log on a full disk', () => {
  it('ends no program', async () => {
    const log = join(await temporaryFolder(), 'log');
    const paths = ['src/logger.js', 'src/program.js', 'src/errors.js'].map(programPath);
    const shell = 'ulimit -f 1; exec "$@" 2> "$0"';
    const node = [process.execPath, '--input-type=module', '-e', PROGRAM, ...paths];
    const ended = promisify(execFile)('bash', ['-c', shell, log, ...node]);
    // The code of the error that it threw, and not that of a crash.
    await expect(ended).rejects.toMatchObject({ code: ExitCode.usage, stdout: 'came to its end\n' });
    expect(readFileSync(log, 'utf8')).toHaveLength(1024);
  });
});
