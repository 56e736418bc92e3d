import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ExitCode } from '../../src/errors.ts';
import type { Program } from '../../src/launch/program.ts';
import { readNdjson } from '../../src/results/files.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';
import { startCoordinator, startPeer, startRelay, TINY_SETTINGS } from './support.ts';

/** So many epochs that nobody is done by itself. */
const ENDLESS = ['--epochs', '20000', '--evaluate-every', '20000'];
const MLP = ['--model', 'mlp', '--backend', 'wasm'];

/** The exit code, unless the program goes on for longer than a superseded one has any reason to. */
async function endOf(program: Program): Promise<number | 'still there'> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<'still there'>((resolve) => {
    timer = setTimeout(() => resolve('still there'), 10_000);
  });
  return Promise.race([program.exited, late]).finally(() => clearTimeout(timer));
}

function expectToldWhatToDo(program: Program, name: string): void {
  expect(program.errorText()).toContain(`Another process has taken the name "${name}"`);
  expect(program.errorText()).toContain('--name');
}

describe('a peer whose name another process takes', () => {
  it.each(['continue', 'wait'])(
    'ends as a student, says what to do, and leaves whole files (onCoordinatorLoss: %s)',
    async (onLoss) => {
      const folder = await temporaryFolder();
      const settings = ['quickstart', ...TINY_SETTINGS, ...ENDLESS, '--on-coordinator-loss', onLoss];
      const { url } = await startCoordinator([...settings, '--peers', 'mlp,mlp'], folder);
      const [first] = await Promise.all(
        ['a', 'b'].map((name) => startPeer(name, url, folder, [...MLP, '--name', name])),
      );
      await first!.logged('training');
      const second = await startPeer('another-a', url, folder, [...MLP, '--name', 'a']);
      expect(await endOf(first!)).toBe(ExitCode.refused);
      expectToldWhatToDo(first!, 'a');
      expect(await second.logged('training')).not.toBeNull();
      const files = readdirSync(join(folder, 'a'), { recursive: true }) as string[];
      expect(files.filter((file) => file.endsWith('.tmp'))).toEqual([]);
      expect(existsSync(join(folder, 'a', 'lock'))).toBe(false);
      expect(files).toContain('weights.safetensors');
    },
  );

  it('ends as a teacher', async () => {
    const folder = await temporaryFolder();
    const trained = await startCoordinator(['quickstart', ...TINY_SETTINGS, '--peers', 'mlp,mlp'], folder);
    const peers = await Promise.all(['a', 'b'].map((name) => startPeer(name, trained.url, folder, MLP)));
    for (const peer of peers) expect(await peer.exited, peer.errorText()).toBe(ExitCode.ok);

    const again = join(folder, 'again');
    const experiment = join(folder, 'offline.yaml');
    const places = 'peers: [{ model: mlp }, { model: mlp, role: teacher }]';
    writeFileSync(experiment, `name: offline\ndistill: { method: kd }\n${places}\n`);
    const { url } = await startCoordinator([experiment, ...TINY_SETTINGS, ...ENDLESS], again);
    const teach = (label: string) => {
      const weights = ['--weights', join(folder, 'a', 'weights.safetensors')];
      return startPeer(label, url, again, [...MLP, '--role', 'teacher', '--name', 'teacher-1', ...weights]);
    };
    const [first] = await Promise.all([teach('first'), startPeer('student', url, again, MLP)]);
    await first!.logged('teaching');
    const second = await teach('second');
    expect(await endOf(first!)).toBe(ExitCode.refused);
    expectToldWhatToDo(first!, 'teacher-1');
    expect(await second.logged('teaching')).not.toBeNull();
  });

  it('does not end where it has merely connected again', async () => {
    const folder = await temporaryFolder();
    const settings = ['quickstart', ...TINY_SETTINGS, '--epochs', '60', '--evaluate-every', '60'];
    const { url, runFolder } = await startCoordinator([...settings, '--peers', 'mlp,mlp'], folder);
    const relay = await startRelay(url);
    const peers = await Promise.all([
      startPeer('a', relay.url, folder, [...MLP, '--name', 'a']),
      startPeer('b', url, folder, [...MLP, '--name', 'b']),
    ]);
    await peers[0]!.logged('training');
    relay.cut();
    for (const peer of peers) expect(await peer.exited, peer.errorText()).toBe(ExitCode.ok);
    const events = (await readNdjson(join(runFolder, 'events.ndjson'))) as { event: string; peer?: string }[];
    expect(events.filter(({ event, peer }) => event === 'joined' && peer === 'a')).toHaveLength(2);
  });
});
