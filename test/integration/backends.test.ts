import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { backends } from '../../src/backend/registry.ts';
import type { Refused } from '../../src/backend/types.ts';
import { ExitCode } from '../../src/errors.ts';
import type { BackendReport } from '../../src/launch/inspectBackends.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';
import { runCli, TINY } from './support.ts';

/** More than any machine has. */
const NO_CARD = '99';

/** Why the backends that use a GPU cannot use this card. */
async function refusalsOf(card: string): Promise<(Refused & { name: string })[]> {
  const probes = Object.values(backends)
    .filter(({ usesGpu }) => usesGpu)
    .map(async ({ name, probe }) => ({ name, ...((await probe(card)) as Refused) }));
  return Promise.all(probes);
}

describe('codistill doctor', () => {
  it('tells of every backend that it works and how fast, or why not and what to do, and which is chosen', async () => {
    const folder = await temporaryFolder();
    const { code, stdout, stderr } = await runCli(['doctor', '--json', '--model', 'mlp'], folder);
    expect(code, stderr).toBe(ExitCode.ok);
    const report = JSON.parse(stdout) as { chosen: string | null; model: string; backends: BackendReport[] };
    expect(report.model).toBe('mlp');
    expect(report.backends.map(({ name }) => name)).toEqual(Object.keys(backends));
    for (const { name, works, detail, remedy, imagesPerSecond } of report.backends) {
      const probe = await backends[name].probe();
      expect(works, name).toBe(probe.usable);
      if (probe.usable) {
        expect(imagesPerSecond, name).toBeGreaterThan(0);
        expect(remedy, name).toBeNull();
        expect(detail).not.toBe('');
      } else {
        expect({ detail, remedy }).toEqual({ detail: probe.reason, remedy: probe.remedy });
        expect(imagesPerSecond, name).toBeNull();
      }
      expect(stderr).toContain(`trying ${name} ...`);
    }
    const best = report.backends.find(({ automatic, works }) => automatic && works);
    expect(report.chosen).toBe(best?.name);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('chooses none, and says so by its exit code, when a card is asked for that is not there', async () => {
    const args = ['doctor', '--json', '--model', 'mlp', '--gpu', NO_CARD];
    const { code, stdout, stderr } = await runCli(args, await temporaryFolder());
    expect(code, stderr).toBe(ExitCode.backend);
    const report = JSON.parse(stdout) as { chosen: string | null; backends: BackendReport[] };
    expect(report.chosen).toBeNull();
    for (const { name, reason, remedy } of await refusalsOf(NO_CARD)) {
      expect(report.backends.find((each) => each.name === name)).toMatchObject({
        ...{ works: false, detail: reason, remedy },
      });
    }
  });

  it('refuses an unknown model', async () => {
    const { code, stderr } = await runCli(['doctor', '--model', 'resnet9'], await temporaryFolder());
    expect(code).toBe(ExitCode.usage);
    expect(stderr).toContain('Unknown model "resnet9"');
  });
});

describe('a card', () => {
  it('that no peer can use ends the run with the reasons of every backend that uses one, and what to do', async () => {
    const folder = await temporaryFolder();
    const args = ['run', ...TINY, '--gpus', NO_CARD, '--peers', 'mlp,mlp', '--compare', ''];
    const { code, stderr } = await runCli(args, folder);
    expect(code, stderr).toBe(ExitCode.backend);
    expect(stderr).toContain(`1 card for 2 peers: mlp-1 and mlp-2 share card ${NO_CARD}.\n`);
    for (const { name, reason, remedy } of await refusalsOf(NO_CARD)) {
      const advice = remedy === null ? '' : ` (${remedy})`;
      expect(stderr).toContain(`Backend "${name}" cannot be used: ${reason}${advice}.`);
    }
    expect(stderr).not.toMatch(/Backend "(tfjs-node|wasm|cpu)"/);
  });

  it.each([
    [['run', '--gpus', '0,'], '--gpus: expected a list such as 0,1, got "0,".'],
    [
      ['run', '--gpus', '0', '--backend', 'wasm'],
      '--gpus 0: no peer computes on a GPU, because of their backends.',
    ],
    [['run', '--gpus', '0', '--backend', 'tfjs-node'], '--gpus 0: no peer computes on a GPU'],
    [['self', '--gpu', '0', '--backend', 'cpu'], 'GPU 0 was asked for, but the backend "cpu" uses none.'],
  ])('is wrong input where nothing can use it: %j', async (args, message) => {
    const folder = await temporaryFolder();
    const { code, stderr } = await runCli(args, folder);
    expect(stderr).toContain(message);
    expect(code).toBe(ExitCode.usage);
    if (args[0] === 'run') expect(readdirSync(folder)).toEqual([]);
  });
});
