import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ExitCode } from '../../src/errors.ts';
import { readSummary } from '../../src/results/runFolder.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';
import { startCli, TINY } from './support.ts';

/** Everything in the folder, as paths from it. */
const filesIn = (folder: string): string[] => readdirSync(folder, { recursive: true }) as string[];

/** Interrupts a training that would take minutes, once its peers are at work. */
async function interrupt(args: readonly string[], signal: 'SIGINT' | 'SIGTERM') {
  const folder = await temporaryFolder();
  const cli = startCli([...args, ...TINY, '--epochs', '5000', '--dir', folder], folder);
  await cli.said(/step [1-9]\d*\/20000/);
  const interruptedAt = performance.now();
  cli.child.kill(signal);
  const { code, stdout, stderr } = await cli.finished;
  return { folder, code, stdout, stderr, seconds: (performance.now() - interruptedAt) / 1000 };
}

describe('an interrupted training', () => {
  it('stops within three seconds, with checkpoints, weights, summary and report', async () => {
    const { folder, code, stdout, stderr, seconds } = await interrupt(
      ['run', '--peers', 'cnn-s,mlp'],
      'SIGINT',
    );
    expect(code, stderr).toBe(ExitCode.interrupted);
    // Programs are ended after 2.7 s; the rest is for this machine's other work.
    expect(seconds).toBeLessThan(4);
    expect(stdout).toContain('dml (interrupted)');
    const summary = await readSummary(folder);
    expect(summary.interrupted).toBe(true);
    expect(summary.compare).toEqual({});
    for (const { name, outcome, steps, weightsDigest } of summary.peers) {
      expect([outcome, steps > 0]).toEqual(['interrupted', true]);
      expect(weightsDigest).toMatch(/^[0-9a-f]{64}$/);
      const files = filesIn(join(folder, 'peers', name));
      expect(files).toContain('weights.safetensors');
      expect(files).toContain(join('checkpoints', `step-${String(steps).padStart(8, '0')}.safetensors`));
    }
    expect(existsSync(join(folder, 'report.html'))).toBe(true);
    expect(filesIn(folder).filter((file) => file.endsWith('.tmp'))).toEqual([]);
  });

  it('ends with 0 when it is asked to leave by SIGTERM, also without a network', async () => {
    const { folder, code, stderr } = await interrupt(['self', '--peers', 'mlp'], 'SIGTERM');
    expect(code, stderr).toBe(ExitCode.ok);
    expect((await readSummary(folder)).peers[0]).toMatchObject({ outcome: 'interrupted' });
  });
});
