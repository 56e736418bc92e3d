import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ExitCode } from '../../src/errors.ts';
import { readNdjson } from '../../src/results/files.ts';
import { readSummary } from '../../src/results/runFolder.ts';
import type { EventRecord } from '../../src/results/types.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';
import {
  LONG,
  runCli,
  startCoordinator,
  startPeer,
  startRelay,
  TINY_DATA,
  TINY_SETTINGS,
} from './support.ts';

const events = async (folder: string): Promise<EventRecord[]> =>
  (await readNdjson(join(folder, 'events.ndjson'))) as EventRecord[];

describe('a coordinator and peers that were started by hand', () => {
  it('train together: places and models are given out, the token is asked for', async () => {
    const folder = await temporaryFolder();
    const token = join(folder, 'token');
    writeFileSync(token, 'open sesame\n');
    const args = [...TINY_SETTINGS, '--peers', 'cnn-s,mlp', '--token-file', token];
    const { program, url, runFolder } = await startCoordinator(args, folder);
    const stranger = await startPeer('stranger', url, folder);
    expect(await stranger.exited).toBe(ExitCode.refused);
    expect(stranger.errorText()).toContain('expected a token of this run');

    const first = await startPeer('first', url, folder, ['--token-file', token]);
    const second = await startPeer('second', url, folder, ['--token-file', token]);
    expect(await Promise.all([first, second, program].map(({ exited }) => exited))).toEqual([0, 0, 0]);
    const { peers, exchange } = await readSummary(runFolder);
    expect(peers.map(({ name, model }) => [name, model])).toEqual([
      ['cnn-s-1', 'cnn-s'],
      ['mlp-1', 'mlp'],
    ]);
    expect(exchange.rounds).toBe(12);
    expect(existsSync(join(runFolder, 'report.html'))).toBe(true);
    expect(readFileSync(join(folder, 'first.log'), 'utf8')).not.toContain('sesame');
  });

  it('go on without a peer that is killed, and tell so', async () => {
    const folder = await temporaryFolder();
    const args = [...TINY_SETTINGS, ...LONG, '--peers', '3xmlp', '--lease', '1s', '--max-wait', '500ms'];
    const { program, url, runFolder } = await startCoordinator(args, folder);
    const peers = await Promise.all(['a', 'b', 'c'].map((name) => startPeer(name, url, folder)));
    await Promise.all(peers.map((peer) => peer.logged('training')));
    peers[0]!.kill('SIGKILL');
    expect(await Promise.all(peers.slice(1).map(({ exited }) => exited))).toEqual([0, 0]);
    expect(await program.exited).toBe(ExitCode.incomplete);

    const summary = await readSummary(runFolder);
    const outcomes = summary.peers.map(({ outcome }) => outcome);
    expect(outcomes.toSorted()).toEqual(['finished', 'finished', 'lost']);
    expect(summary.ensemble).not.toBeNull();
    const lost = summary.peers.find(({ outcome }) => outcome === 'lost')!.name;
    expect(await events(runFolder)).toContainEqual(expect.objectContaining({ event: 'lost', peer: lost }));
  });

  it('survive a cut network: the peer joins again by itself and is taught again', async () => {
    const folder = await temporaryFolder();
    const args = [...TINY_SETTINGS, ...LONG, '--peers', '2xmlp'];
    const { program, url, runFolder } = await startCoordinator(args, folder);
    const relay = await startRelay(url);
    const direct = await startPeer('direct', url, folder);
    const cut = await startPeer('cut', relay.url, folder);
    await Promise.all([direct.logged('training'), cut.logged('training')]);
    relay.cut();
    expect(await Promise.all([direct, cut, program].map(({ exited }) => exited))).toEqual([0, 0, 0]);

    const summary = await readSummary(runFolder);
    expect(summary.peers.map(({ outcome }) => outcome)).toEqual(['finished', 'finished']);
    const ofCut = (await events(runFolder)).filter(({ event }) => event === 'joined' || event === 'left');
    expect(ofCut.map(({ event }) => event)).toEqual(['joined', 'joined', 'left', 'joined']);
    // 800 steps; the cut costs the rounds until the next attempt, at most 0.25 s later.
    expect(summary.exchange.rounds).toBeGreaterThan(100);
  });

  it('refuse a peer with other data, with both values', async () => {
    const folder = await temporaryFolder();
    const args = [...TINY_SETTINGS, '--peers', '2xmlp'];
    const { url } = await startCoordinator(args, folder);
    const first = await startPeer('first', url, folder);
    await first.logged('ready');
    const other = await otherFashionMnist(folder);
    const second = await startPeer('second', url, folder, ['--data-dir', other]);
    expect(await second.exited).toBe(ExitCode.refused);
    expect(second.errorText()).toMatch(/dataset: expected [0-9a-f]{12} \(as mlp-1 has\), got [0-9a-f]{12}/);
  });

  it('say in one line when there is no coordinator', async () => {
    const folder = await temporaryFolder();
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    const { code, stderr } = await runCli(
      ['peer', '--coordinator', `ws://127.0.0.1:${port}`, '--patience', '500ms', ...TINY_DATA],
      folder,
    );
    expect(code).toBe(ExitCode.unreachable);
    expect(stderr).toContain('Error: Could not reach the coordinator for 0.5 s');
  });
});

/** The test images in the place of the training images: the same format, other samples. */
async function otherFashionMnist(folder: string): Promise<string> {
  const other = join(folder, 'other');
  const from = TINY_DATA[1]!;
  for (const part of ['images-idx3', 'labels-idx1']) {
    await cp(join(from, `t10k-${part}-ubyte.gz`), join(other, `train-${part}-ubyte.gz`));
    await cp(join(from, `t10k-${part}-ubyte.gz`), join(other, `t10k-${part}-ubyte.gz`));
  }
  return other;
}
