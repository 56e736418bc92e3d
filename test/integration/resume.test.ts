import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Program } from '../../src/launch/program.ts';
import { readNdjson } from '../../src/results/files.ts';
import { readSummary } from '../../src/results/runFolder.ts';
import type { EventRecord, RunStatus } from '../../src/results/types.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';
import { runCli, startCli, startCoordinator, startPeer, TINY, TINY_SETTINGS } from './support.ts';

/** Some seconds of training in which every round has all peers, whatever happens to them. */
const WHOLE = [
  ...['--epochs', '24', '--evaluate-every', '3', '--quorum', 'all', '--on-coordinator-loss', 'wait'],
  ...['--name', 'whole'],
];
const PEERS = ['a', 'b'] as const;

/** The digests of the final weights of a run's peers. */
async function weightsIn(runFolder: string): Promise<string[]> {
  const { peers, exchange } = await readSummary(runFolder);
  expect(peers.map(({ outcome }) => outcome)).toEqual(['finished', 'finished']);
  expect(exchange).toMatchObject({ rounds: 92, missed: { noTeachers: 0, quorum: 0, late: 0, refused: 0 } });
  return peers.map(({ weightsDigest }) => weightsDigest!);
}

function statusOf(url: string): Promise<RunStatus> {
  return fetch(`${url.replace('ws', 'http')}/status.json`).then(
    (response) => response.json() as Promise<RunStatus>,
  );
}

/** Resolves when so many rounds are committed. */
async function committed(url: string, rounds: number): Promise<void> {
  while ((await statusOf(url)).rounds.committed < rounds) await delay(5);
}

/** Starts a run, lets `disturb` do to it what it will, and gives back the weights that came out. */
async function trained(
  disturb: (run: {
    readonly url: string;
    readonly coordinator: Program;
    restartCoordinator(): Promise<void>;
    readonly peers: readonly Program[];
    startPeer(name: string): Promise<Program>;
  }) => Promise<void>,
): Promise<{ readonly weights: string[]; readonly runFolder: string }> {
  const folder = await temporaryFolder();
  const settings = ['quickstart', ...TINY_SETTINGS, ...WHOLE];
  let { program: coordinator, url, runFolder } = await startCoordinator(settings, folder);
  const peerOf = (name: string) =>
    startPeer(name, url, folder, ['--name', name, '--model', 'mlp', '--backend', 'wasm']);
  const peers = await Promise.all(PEERS.map(peerOf));
  await disturb({
    ...{ url, coordinator, peers, startPeer: peerOf },
    async restartCoordinator() {
      coordinator = (await startCoordinator(settings, folder, new URL(url).port)).program;
    },
  });
  expect(await coordinator.exited, coordinator.errorText()).toBe(0);
  return { weights: await weightsIn(runFolder), runFolder };
}

const eventsIn = async (runFolder: string): Promise<string[]> =>
  ((await readNdjson(join(runFolder, 'events.ndjson'))) as EventRecord[]).map(({ event }) => event);

describe('a run that something happens to', () => {
  it('ends with the very same weights when a peer or the coordinator is killed', async () => {
    const { weights } = await trained(async () => {});

    const peerKilled = await trained(async ({ url, peers, startPeer }) => {
      await committed(url, 40);
      peers[0]!.kill('SIGKILL');
      await peers[0]!.exited;
      await startPeer('a');
    });
    expect(peerKilled.weights).toEqual(weights);
    expect((await eventsIn(peerKilled.runFolder)).filter((event) => event === 'joined')).toHaveLength(3);

    const coordinatorKilled = await trained(async ({ url, coordinator, restartCoordinator }) => {
      await committed(url, 40);
      coordinator.kill('SIGKILL');
      await coordinator.exited;
      await restartCoordinator();
    });
    expect(coordinatorKilled.weights).toEqual(weights);
    expect(await eventsIn(coordinatorKilled.runFolder)).toContain('resumed');

    const allKilled = await trained(async ({ url, coordinator, peers, restartCoordinator, startPeer }) => {
      await committed(url, 40);
      for (const program of [coordinator, ...peers]) program.kill('SIGKILL');
      await Promise.all([coordinator, ...peers].map(({ exited }) => exited));
      await restartCoordinator();
      await Promise.all(PEERS.map(startPeer));
    });
    expect(allKilled.weights).toEqual(weights);
  }, 120_000);
});

describe('codistill run --resume', () => {
  const experiment = [
    ...['run', 'quickstart', ...TINY, ...WHOLE, '--peers', 'mlp,mlp', '--backend', 'wasm'],
    ...['--compare', 'independent'],
  ];
  const digests = (folder: string): unknown => {
    const summary = JSON.parse(readFileSync(join(folder, 'summary.json'), 'utf8'));
    const of = (peers: { weightsDigest: string }[]) => peers.map(({ weightsDigest }) => weightsDigest);
    return [of(summary.peers), of(summary.compare.independent.peers)];
  };

  it('goes on where it was stopped, to the weights of a run that was not, and does nothing over again', async () => {
    const folder = await temporaryFolder();
    const undisturbed = await runCli([...experiment, '--dir', 'whole'], folder);
    expect(undisturbed.code, undisturbed.stderr).toBe(0);

    const stopped = startCli([...experiment, '--dir', 'stopped'], folder);
    await stopped.said(/evaluated by step|step [1-9]\d/);
    stopped.child.kill('SIGINT');
    const { code, stderr } = await stopped.finished;
    expect(code).toBe(130);
    expect(stderr).toContain('Go on:   codistill run --resume stopped');

    const resumed = await runCli(['run', '--resume', 'stopped', '--backend', 'wasm'], folder);
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(digests(join(folder, 'stopped'))).toEqual(digests(join(folder, 'whole')));

    const again = await runCli(['run', '--resume', 'stopped', '--json'], folder);
    expect(again.code).toBe(0);
    expect(JSON.parse(again.stdout).peers).toEqual((await readSummary(join(folder, 'stopped'))).peers);
  }, 120_000);

  it.each([
    [
      ['--resume', 'nothing'],
      /--resume nothing: expected the folder of a run, but there is no plan.json in it/,
    ],
    [['quickstart', '--resume', 'x'], /--resume: expected no experiment and no settings.*got quickstart/],
    [['--resume', 'x', '--epochs', '3'], /--resume: expected no experiment and no settings.*got --epochs/],
  ])('refuses %j', async (args, message) => {
    const { code, stderr } = await runCli(['run', ...args], await temporaryFolder());
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
  });
});
