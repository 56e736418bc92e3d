import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { backends } from '../../src/backend/registry.ts';
import type { BackendName } from '../../src/backend/types.ts';
import type { RefusedBackend, RunSummary } from '../../src/results/types.ts';
import { usableBackends } from '../support/backends.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';
import { runCli, TINY, TINY_DATA } from './support.ts';

async function run(args: readonly string[], folder: string): Promise<RunSummary> {
  const { code, stdout, stderr } = await runCli(['run', ...args, ...TINY, '--json', '--dir', folder], folder);
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as RunSummary;
}

const digests = (summary: RunSummary): unknown[] => summary.peers.map(({ weightsDigest }) => weightsDigest);

describe('codistill run', () => {
  it('trains two architectures as each other’s teachers, compares, and leaves a whole run folder', async () => {
    const folder = await temporaryFolder();
    const summary = await run(['quickstart', '--peers', 'cnn-s,mlp'], folder);

    expect(summary.method).toBe('dml');
    expect(summary.peers.map(({ model, steps, outcome }) => [model, steps, outcome])).toEqual([
      ['cnn-s', 16, 'finished'],
      ['mlp', 16, 'finished'],
    ]);
    expect(summary.exchange).toMatchObject({ rounds: 12, staleness: 0 });
    expect(Object.values(summary.exchange.missed)).toEqual([0, 0, 0, 0]);
    expect(Object.keys(summary.compare)).toEqual(['independent']);
    expect(summary.compare.independent?.exchange.rounds).toBe(0);
    expect(summary.verdict).toContain('at equal steps');
    for (const peer of summary.peers) {
      expect(peer.test?.accuracy).toBeGreaterThan(0.3);
      expect(peer.distillationOverhead).toEqual(expect.any(Number));
      expect(peer.bytesUp).toBeGreaterThan(12 * 64 * 10 * 2);
      const file = readFileSync(join(folder, 'peers', peer.name, 'weights.safetensors'));
      expect(createHash('sha256').update(file).digest('hex')).toBe(peer.weightsDigest);
    }
    expect(summary.ensemble?.accuracy).toBeGreaterThan(0.3);
    expect(summary.agreement).toBeGreaterThan(0);

    for (const name of ['experiment.json', 'events.ndjson', 'metrics.ndjson', 'coordinator.log']) {
      expect(existsSync(join(folder, name)), name).toBe(true);
    }
    expect(JSON.parse(readFileSync(join(folder, 'summary.json'), 'utf8'))).toEqual(summary);
    expect(readFileSync(join(folder, 'report.html'), 'utf8')).toContain(
      '<h1>quickstart: dml beside independent',
    );

    const again = await runCli(['eval', folder, '--json', ...TINY_DATA], folder);
    const evaluated = JSON.parse(again.stdout);
    expect(evaluated.peers.map(({ test }: { test: unknown }) => test)).toEqual(
      summary.peers.map(({ test }) => test),
    );
    expect(evaluated.ensemble).toEqual(summary.ensemble);
  });

  it('gives bit-identical weights twice, and others for another seed', async () => {
    const args = ['--peers', '2xcnn-s', '--compare', ''];
    const first = await run(args, await temporaryFolder());
    const second = await run(args, await temporaryFolder());
    const other = await run([...args, '--seed', '1'], await temporaryFolder());
    expect(first.exchange.rounds).toBe(12);
    expect(digests(second)).toEqual(digests(first));
    expect(new Set([...digests(first), ...digests(other)]).size).toBe(4);
  });

  it.each([1, 3, 5, 8])('works with %i peers', async (peers) => {
    const method = peers === 1 ? 'self-ema' : 'dml';
    const summary = await run(
      ['--peers', `${peers}xmlp`, '--method', method, '--compare', ''],
      await temporaryFolder(),
    );
    expect(summary.peers).toHaveLength(peers);
    expect(summary.peers.every(({ outcome }) => outcome === 'finished')).toBe(true);
    expect(summary.exchange.rounds).toBe(peers === 1 ? 0 : 12);
    expect(Object.values(summary.exchange.missed).every((times) => times === 0)).toBe(true);
  });

  it('starts at every log level: the launcher itself reads what the coordinator logs', async () => {
    const folder = await temporaryFolder();
    const summary = await run(['--peers', '2xmlp', '--log-level', 'silent'], folder);
    expect(summary.exchange.rounds).toBe(12);
  });

  it('lets peers on different backends teach each other', async () => {
    const folder = await temporaryFolder();
    const usable = await usableBackends('mixed backends', ['webgpu', 'tfjs-node', 'wasm']);
    if (usable.length === 1) usable.push({ name: 'cpu' });
    const peers = usable.map(({ name }) => `{ model: mlp, backend: ${name} }`);
    writeFileSync(join(folder, 'mixed.yaml'), `peers: [${peers.join(', ')}]\n`);
    // A peer on a processor that was dealt a card would refuse it.
    const cards = usable.flatMap(({ gpu }) => (gpu === undefined ? [] : ['--gpus', gpu]));
    const summary = await run(['./mixed.yaml', '--compare', '', ...cards], folder);
    expect(summary.peers.map(({ backend }) => backend)).toEqual(usable.map(({ name }) => name));
    const devices: Partial<Record<BackendName, RegExp>> = {
      webgpu: /^.+, driver .+/,
      'tfjs-node': /^CPU, TensorFlow 2\.\d+\.\d+, \d+ threads?$/,
      wasm: /^wasm/,
    };
    for (const [i, { name, gpu }] of usable.entries()) {
      const { device, refusedBackends, outcome, test, bytesUp } = summary.peers[i]!;
      expect(device).toMatch(devices[name] ?? /./);
      expect(device).toContain(gpu ?? '');
      // Each was asked for by name.
      expect(refusedBackends).toEqual([]);
      expect(outcome).toBe('finished');
      expect(test?.accuracy).toBeGreaterThan(0.3);
      expect(bytesUp).toBeGreaterThan(12 * 64 * 10 * 2);
    }
    expect(summary.exchange.rounds).toBe(12);
    expect(Object.values(summary.exchange.missed)).toEqual([0, 0, 0, 0]);
  });

  it('takes the best backend that works, and tells at the start and in the summary why no better one', async () => {
    const refused: RefusedBackend[] = [];
    let best: BackendName | null = null;
    for (const { name, automatic, probe } of Object.values(backends)) {
      if (best !== null || !automatic) continue;
      const result = await probe();
      if (result.usable) best = name;
      else refused.push({ backend: name, reason: result.reason });
    }
    const folder = await temporaryFolder();
    const { code, stdout, stderr } = await runCli(
      [
        'run',
        ...TINY,
        '--epochs',
        '20',
        '--evaluate-every',
        '20',
        '--peers',
        'mlp,mlp',
        '--compare',
        '',
        '--backend',
        'auto',
        '--json',
        '--dir',
        folder,
      ],
      folder,
    );
    expect(code, stderr).toBe(0);
    const { peers } = JSON.parse(stdout) as RunSummary;
    for (const peer of peers) {
      expect(peer.backend).toBe(best);
      expect(peer.refusedBackends).toEqual(refused);
    }
    expect(JSON.parse(readFileSync(join(folder, 'summary.json'), 'utf8')).peers).toEqual(peers);
    const reasons = refused.map(({ backend, reason }) => `; not ${backend}: ${reason}`).join('');
    const line = `mlp-1, mlp-2: ${best} (${peers[0]!.device})${reasons}\n`;
    expect(stderr.split(line), stderr).toHaveLength(2);
  });

  it('trains a user’s own model beside one of the registry', async () => {
    const folder = await temporaryFolder();
    const model = new URL('../fixtures/models/linear.js', import.meta.url).pathname;
    const summary = await run(['--peers', `${model},mlp`], folder);
    expect(summary.peers.map(({ name }) => name)).toEqual(['linear-1', 'mlp-1']);
    expect(summary.peers[0]!.test?.accuracy).toBeGreaterThan(0.3);
  });
});

describe('codistill self', () => {
  it('trains one student without a network, the same weights twice, and compares', async () => {
    const weights: unknown[] = [];
    for (let i = 0; i < 2; i++) {
      const folder = await temporaryFolder();
      const args = ['self', ...TINY, '--peers', 'mlp', '--compare', 'independent', '--json', '--dir', folder];
      const { code, stdout, stderr } = await runCli(args, folder);
      expect(code, stderr).toBe(0);
      const summary = JSON.parse(stdout) as RunSummary;
      expect(summary).toMatchObject({ method: 'self-ema', exchange: { rounds: 0 } });
      expect(summary.peers).toHaveLength(1);
      expect(digests(summary)).not.toEqual(digests(summary.compare.independent as RunSummary));
      expect(existsSync(join(folder, 'report.html'))).toBe(true);
      weights.push(...digests(summary));
    }
    expect(weights[1]).toBe(weights[0]);
  });
});
