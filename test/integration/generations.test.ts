import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ExitCode } from '../../src/errors.ts';
import { readPredictions } from '../../src/results/predictions.ts';
import { readSummary } from '../../src/results/runFolder.ts';
import { evaluateLogits } from '../../src/training/metrics.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';
import { runCli, TINY } from './support.ts';

it('a student of two generations has both and their ensemble in its summary, with coordinator and without', async () => {
  const folder = await temporaryFolder();
  const experiment = join(folder, 'generations.yaml');
  writeFileSync(
    experiment,
    'distill: { method: born-again, options: { generations: 1 } }\npeers: [{ model: mlp }]\ncompare: []\n',
  );
  const check = async (command: string): Promise<void> => {
    const run = join(folder, command);
    const args = [command, experiment, '--method', 'born-again', ...TINY, '--dir', run];
    const { code, stdout, stderr } = await runCli(args, folder);
    expect(code, stderr).toBe(ExitCode.ok);
    const [student] = (await readSummary(run)).peers;
    const { each, ensemble } = student!.generations!;
    expect(each).toHaveLength(2);
    expect(each[1]).toEqual(student!.test);
    const first = await readPredictions(join(run, 'generations', '0', 'peers', student!.name));
    expect(evaluateLogits(first!.logits, first!.labels, 10)).toEqual(each[0]);
    for (const one of each) expect(ensemble.nll).not.toBe(one.nll);
    expect(stdout).toContain('generations');
    expect(existsSync(join(run, 'report.html'))).toBe(true);
  };
  await Promise.all(['run', 'self'].map(check));
}, 120_000);
