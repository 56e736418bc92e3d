import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { createBorrowing } from '../../peer/borrowing.ts';
import { loadNetwork } from '../../peer/network.ts';
import { createSession } from '../../peer/session.ts';
import { openSocket } from '../../peer/socket.ts';
import { readClientTls } from '../../peer/tls.ts';
import { wantsOf } from '../../peer/wants.ts';
import { runSettingsSchema } from '../../src/config/schema.ts';
import { objectiveFrom } from '../../src/distill/fromSettings.ts';
import type { Program } from '../../src/launch/program.ts';
import { readNdjson } from '../../src/results/files.ts';
import { readSummary } from '../../src/results/runFolder.ts';
import type { EventRecord, MetricsRecord, PeerSummary } from '../../src/results/types.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';
import { startCoordinator, startPeer, TINY_DATA, TINY_SETTINGS } from './support.ts';

const FLAG = '--start-from-best';
/** A run that no test sees the end of. */
const ENDLESS = ['--epochs', '20000', '--learning-rate', '0.01', '--burn-in-steps', '0'];

interface Running {
  readonly folder: string;
  readonly runFolder: string;
  readonly url: string;
  readonly peers: Readonly<Record<string, Program>>;
  /** Starts a peer, in a folder of its own where it is the second of its name. */
  join(name: string, model: string, flags?: readonly string[], label?: string): Promise<Program>;
  /** The test accuracies that a peer has told, in order. */
  accuracies(peer: string): Promise<number[]>;
  events(): Promise<EventRecord[]>;
  /** Stops the run; what the summary says of a peer. */
  end(peer: string): Promise<PeerSummary>;
}

/** A run in training, of peers with these models. */
async function running(
  models: Readonly<Record<string, string>>,
  more: readonly string[] = [],
): Promise<Running> {
  const folder = await temporaryFolder();
  const places = ['--peers', Object.values(models).join(',')];
  const settings = ['quickstart', ...TINY_SETTINGS, ...ENDLESS, ...places, ...more];
  const { program, url, runFolder } = await startCoordinator(settings, folder);
  const join_ = (name: string, model: string, flags: readonly string[] = [], label = name) =>
    startPeer(label, url, folder, ['--name', name, '--model', model, '--backend', 'wasm', ...flags]);
  const started = await Promise.all(
    Object.entries(models).map(async ([name, model]) => [name, await join_(name, model)] as const),
  );
  const lines = <T>(file: string) => readNdjson(join(runFolder, file)) as Promise<T[]>;
  return {
    ...{ folder, runFolder, url, peers: Object.fromEntries(started), join: join_ },
    async accuracies(peer) {
      const all = await lines<MetricsRecord>('metrics.ndjson');
      return all.flatMap((each) => (each.kind === 'evaluation' && each.peer === peer ? [each.accuracy] : []));
    },
    events: () => lines<EventRecord>('events.ndjson'),
    async end(peer) {
      program.kill('SIGTERM');
      await program.exited;
      return (await readSummary(runFolder)).peers.find(({ name }) => name === peer)!;
    },
  };
}

/** Waits until a peer has told more accuracies than it had, and gives back the first new one. */
async function nextAccuracy(run: Running, peer: string, before: number): Promise<number> {
  for (;;) {
    const all = await run.accuracies(peer);
    if (all.length > before) return all[before]!;
    await delay(50);
  }
}

async function killed(program: Program): Promise<void> {
  program.kill('SIGKILL');
  await program.exited;
}

/** What a program said to a person about weights. */
const saidOf = (program: Program) => program.logged("starting with another student's weights");

describe('a peer that joins a run in training with --start-from-best', () => {
  it.each([
    // With this quorum, the one that sends its weights waits in a round for the newcomer meanwhile.
    ['lockstep', ['--quorum', 'all']],
    // Here all weights go to everybody, on the same connection and in pieces of the same kind.
    ['checkpoint', ['--mode', 'checkpoint', '--checkpoint-every', '5']],
  ])(
    'starts with the weights of the best student with its model, and is as good at once: %s',
    async (_, mode) => {
      const run = await running({ a: 'mlp', b: 'cnn-s', c: 'mlp' }, mode);
      await nextAccuracy(run, 'a', 25);
      await killed(run.peers.c!);

      // Without the flag, as it was.
      const known = (await run.accuracies('c')).length;
      const without = await run.join('c', 'mlp', [], 'without');
      const fresh = await nextAccuracy(run, 'c', known);
      await killed(without);

      const before = (await run.accuracies('c')).length;
      const newcomer = await run.join('c', 'mlp', [FLAG], 'with');
      const said = await saidOf(newcomer);
      const first = await nextAccuracy(run, 'c', before);
      // Four steps at this rate change little, of 100 samples.
      expect(Math.abs(first - Number(said!.accuracy))).toBeLessThan(0.1);
      expect(first).toBeGreaterThan(fresh + 0.1);

      const sent = String((await run.peers.a!.logged('weights'))?.what);
      expect(sent).toBe(`sending c the weights of step ${said!.step}, SHA-256 ${said!.sha256}`);
      const events = await run.events();
      expect(events.find(({ event }) => event === 'startedFrom')).toMatchObject({ peer: 'c' });
      const { startedFrom } = await run.end('c');
      expect(startedFrom).toEqual({ peer: 'a', step: said!.step, accuracy: said!.accuracy });
    },
  );

  it('starts with its own where nobody has its model, and says why', async () => {
    const run = await running({ a: 'cnn-s', c: 'mlp' });
    await nextAccuracy(run, 'a', 2);
    await killed(run.peers.c!);
    const newcomer = await run.join('c', 'mlp', [FLAG], 'with');
    const { reason } = (await newcomer.logged('starting with its own fresh weights'))!;
    expect(reason).toMatch(
      /^nobody has the same model, mlp \(\d+ parameters\): a has cnn-s \(\d+ parameters\)$/,
    );
    expect(await newcomer.logged('training')).not.toBeNull();
    expect((await run.events()).find(({ event }) => event === 'startedFresh')).toMatchObject({ reason });
    expect((await run.end('c')).startedFrom).toEqual({ peer: null, reason });
  });

  it('starts with its own at the beginning of a run, and goes on from its own checkpoint', async () => {
    const folder = await temporaryFolder();
    const settings = ['quickstart', ...TINY_SETTINGS, ...ENDLESS, '--peers', 'mlp,mlp'];
    const { url, runFolder } = await startCoordinator(settings, folder);
    const flags = ['--model', 'mlp', '--backend', 'wasm', FLAG];
    const [a] = await Promise.all(
      ['a', 'b'].map((name) => startPeer(name, url, folder, ['--name', name, ...flags])),
    );
    const fresh = await a!.logged('starting with its own fresh weights');
    expect(fresh?.reason).toBe('the run begins, and nobody has trained yet');
    while ((await readNdjson(join(runFolder, 'metrics.ndjson'))).length < 20) await delay(50);
    await killed(a!);
    const again = await startPeer('a', url, folder, ['--name', 'a', ...flags]);
    expect(
      await again.logged('going on from its own checkpoint: --start-from-best is not needed'),
    ).not.toBeNull();
    expect(await again.logged('training')).not.toBeNull();
  });

  it('turns to the next best when one is killed on the way, and to its own weights after the last', async () => {
    const run = await running({ a: 'mlp', b: 'mlp', c: 'mlp' });
    await nextAccuracy(run, 'a', 2);
    await nextAccuracy(run, 'b', 2);
    await killed(run.peers.c!);
    // The session of a real peer, whose first piece of each student's weights is that student's last word.
    const pieces: string[] = [];
    const session = createSession({
      hello: {
        ...{ type: 'hello', protocol: 1, incarnation: 'life-of-a-newcomer', name: 'c', model: 'mlp' },
        ...{ backend: 'none', device: 'this test' },
      },
      connect: (events) =>
        openSocket(`${run.url}/ws`, { token: null, tls: readClientTls(run.url, {}) }, events),
      patienceMs: 10_000,
      notify: () => {},
    });
    const { experiment } = await session.join();
    const settings = runSettingsSchema.parse(experiment);
    const network = await loadNetwork({
      ...{ name: 'c', model: 'mlp', settings, dataDir: TINY_DATA[1]!, download: false },
    });
    const { dataset } = network;
    const borrowing = createBorrowing(network.model);
    const facts = {
      ...{ dataset: dataset.digest, classes: dataset.classNames.length, parameters: network.parameterCount },
      ...{ trainSize: dataset.train.count, testSize: dataset.test.count },
      inputShape: [...dataset.imageShape] as [number, number, number],
      wants: wantsOf(objectiveFrom(settings.distill), Object.keys(network.layers))!,
      layers: Object.fromEntries(Object.entries(network.layers).map(([layer, shape]) => [layer, [...shape]])),
    };
    const start = await session.ready(facts, 'continue', {
      borrower: {
        state: '',
        take(piece) {
          pieces.push(`${piece.peer} ${piece.offset}`);
          run.peers[piece.peer]!.kill('SIGKILL');
          return borrowing.take(piece);
        },
      },
    });
    session.close();
    network.dispose();
    // Pieces that were on their way when their sender was killed may still come.
    expect(new Set(pieces.map((piece) => piece.split(' ')[0]))).toEqual(new Set(['a', 'b']));
    expect(pieces.filter((piece) => piece.endsWith(' 0'))).toHaveLength(2);
    expect(start.weights).toBeUndefined();
    expect(start.noWeights).toMatch(/^(a has left, b has left|b has left, a has left)$/);
  });
});
