import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ExitCode } from '../../src/errors.ts';
import { readNdjson } from '../../src/results/files.ts';
import { readSummary } from '../../src/results/runFolder.ts';
import type { EventRecord, MetricsRecord, RunSummary } from '../../src/results/types.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';
import { runCli, TINY } from './support.ts';

const WASM = ['--backend', 'wasm'];

async function trained(args: readonly string[], folder: string): Promise<RunSummary> {
  const all = [...args, ...TINY, ...WASM, '--json', '--dir', folder];
  const { code, stdout, stderr } = await runCli(all, folder);
  expect(code, stderr).toBe(ExitCode.ok);
  return JSON.parse(stdout) as RunSummary;
}

/** The peers of a part of a run: names, methods of what taught them, and the weights that came out. */
const digestsOf = async (folder: string): Promise<unknown[]> =>
  (await readSummary(folder)).peers.map(({ weightsDigest }) => weightsDigest);

const weightsOf = (folder: string, peer: string): string =>
  join(folder, 'peers', peer, 'weights.safetensors');

/** Fails unless each of the peers had a distillation loss, and all of its numbers are finite. */
async function expectTaught(folder: string, peers: readonly string[]): Promise<void> {
  const metrics = (await readNdjson(join(folder, 'metrics.ndjson'))) as MetricsRecord[];
  for (const peer of peers) {
    const losses = metrics.flatMap((record) =>
      record.peer === peer && 'distillation' in record ? [record.loss, record.distillation] : [],
    );
    expect(losses.every(Number.isFinite), peer).toBe(true);
    expect(losses.at(-1), peer).toBeGreaterThan(0);
  }
}

describe('students that run copies of each other', () => {
  it('swap their weights at every exchange, and learn from what they got one exchange before', async () => {
    const folder = await temporaryFolder();
    const every = ['--mode', 'checkpoint', '--checkpoint-every', '4'];
    const args = ['run', '--peers', 'mlp,cnn-s', '--method', 'codistillation', '--compare', 'independent'];
    const summary = await trained([...args, ...every], folder);

    expect(summary.method).toBe('codistillation');
    // Nothing is asked for, so nothing can be missed.
    expect(summary.exchange).toMatchObject({
      ...{ rounds: 0, staleness: 0 },
      missed: { noTeachers: 0, quorum: 0, late: 0, refused: 0 },
    });
    const [cnn, mlp] = summary.peers as [RunSummary['peers'][0], RunSummary['peers'][0]];
    expect([cnn.name, mlp.name]).toEqual(['cnn-s-1', 'mlp-1']);
    // Of 16 steps, 4 are the burn-in; the weights go out before steps 4, 8 and 12.
    for (const [peer, other] of [
      [cnn, mlp],
      [mlp, cnn],
    ] as const) {
      expect([peer.outcome, peer.steps]).toEqual(['finished', 16]);
      expect(Math.round(peer.bytesUp / statSync(weightsOf(folder, peer.name)).size)).toBe(3);
      // Those of step 12 would be for step 16: they come to nobody who has finished before.
      expect([2, 3]).toContain(Math.round(peer.bytesDown / statSync(weightsOf(folder, other.name)).size));
      expect(peer.test?.accuracy).toBeGreaterThan(0.3);
      expect(Number.isFinite(peer.test!.nll)).toBe(true);
    }
    const alone = await digestsOf(join(folder, 'compare', 'independent'));
    expect(new Set([cnn.weightsDigest, mlp.weightsDigest, ...alone]).size).toBe(4);
    expect(summary.verdict).toContain('at equal steps');

    await expectTaught(folder, ['cnn-s-1', 'mlp-1']);
  });
});

describe('a student that learns from itself', () => {
  it('does so with codistill self, generation after generation', async () => {
    const folder = await temporaryFolder();
    const args = ['self', '--peers', 'mlp', '--method', 'born-again', '--options', 'generations=2'];
    const summary = await trained([...args, '--compare', ''], folder);
    expect(summary).toMatchObject({ method: 'born-again', exchange: { rounds: 0 } });
    expect(summary.peers).toHaveLength(1);

    const parts = [join(folder, 'generations', '0'), join(folder, 'generations', '1'), folder];
    const methods = await Promise.all(parts.map(async (part) => (await readSummary(part)).method));
    expect(methods).toEqual(['independent', 'born-again', 'born-again']);
    const digests = (await Promise.all(parts.map(digestsOf))).flat();
    expect(new Set(digests).size).toBe(3);
    expect(digests.at(-1)).toBe(summary.peers[0]!.weightsDigest);
    const settings = parts.map((part) => JSON.parse(readFileSync(join(part, 'experiment.json'), 'utf8')));
    expect(settings.map(({ peers }) => peers[0].weights)).toEqual([
      undefined,
      weightsOf(parts[0]!, 'mlp-1'),
      // What the user asked for, without what it took.
      undefined,
    ]);
    expect(existsSync(join(folder, 'generations', '2'))).toBe(false);
  });

  it('does so with codistill run, and sends nobody anything about its batches', async () => {
    const folder = await temporaryFolder();
    const summary = await trained(
      ['run', '--peers', 'mlp', '--method', 'tf-kd-self', '--compare', 'dlb'],
      folder,
    );
    expect(summary).toMatchObject({ method: 'tf-kd-self', exchange: { rounds: 0 } });
    const parts = ['generations/0', '.', 'compare/dlb'].map((part) => join(folder, part));
    const digests = (await Promise.all(parts.map(digestsOf))).flat();
    expect(new Set(digests).size).toBe(3);
    for (const part of parts) {
      const [peer] = (await readSummary(part)).peers;
      expect(peer).toMatchObject({ outcome: 'finished', steps: 16 });
      // A coordinator ends the connection of a peer that says something about a batch when nobody asked.
      const events = (await readNdjson(join(part, 'events.ndjson'))) as EventRecord[];
      expect(events.map(({ event }) => event)).toEqual(['joined', 'started', 'done']);
    }
    await expectTaught(folder, ['mlp-1']);
  });
});

describe("a user's own method", () => {
  const path = new URL('../fixtures/methods/nearness.js', import.meta.url).pathname;

  it('teaches students of codistill run', async () => {
    const folder = await temporaryFolder();
    const summary = await trained(['run', '--peers', '2xmlp', '--method', path, '--compare', ''], folder);
    expect(summary.method).toBe(path);
    expect(summary.exchange).toMatchObject({ rounds: 12, missed: { noTeachers: 0, refused: 0 } });
    await expectTaught(folder, ['mlp-1', 'mlp-2']);
    for (const { test } of summary.peers) expect(test?.accuracy).toBeGreaterThan(0.3);
  });

  it('that has no loss is refused before training, with what it lacks', async () => {
    const folder = await temporaryFolder();
    writeFileSync(join(folder, 'mine.js'), 'export default { name: "mine", teachers: "peers" };');
    const args = ['run', '--peers', '2xmlp', '--method', './mine.js', ...TINY, ...WASM];
    const { code, stderr } = await runCli([...args, '--dir', join(folder, 'run')], folder);
    expect(stderr).toMatch(/mine\.js: expected a method with a function "loss", or "supervised"/);
    expect(code).toBe(ExitCode.usage);
    expect(readFileSync(join(folder, 'run', 'metrics.ndjson'), 'utf8')).toBe('');
  });
});
