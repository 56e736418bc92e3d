import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { backends } from '../../src/backend/registry.ts';
import type { RunSummary } from '../../src/results/types.ts';
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

  it('lets peers on different backends teach each other', async () => {
    const folder = await temporaryFolder();
    const names = ['wasm', 'cpu'];
    const native = await backends['tfjs-node'].probe();
    if (native.usable) names.push('tfjs-node');
    else process.stderr.write(`mixed backends: tfjs-node is left out: ${native.reason}\n`);
    const peers = names.map((backend) => `{ model: mlp, backend: ${backend} }`);
    writeFileSync(join(folder, 'mixed.yaml'), `peers: [${peers.join(', ')}]\n`);
    const summary = await run(['./mixed.yaml'], folder);
    expect(summary.peers.map(({ backend }) => backend)).toEqual(names);
    expect(summary.exchange.rounds).toBe(12);
    for (const { test } of summary.peers) expect(test?.accuracy).toBeGreaterThan(0.3);
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
