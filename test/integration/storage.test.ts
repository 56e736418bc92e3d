import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { ExitCode } from '../../src/errors.ts';
import { programPath } from '../../src/paths.ts';
import { readNdjson } from '../../src/results/files.ts';
import type { RunSummary } from '../../src/results/types.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';
import { afterwards, LONG, runCli, startCoordinator, startPeer, TINY, TINY_SETTINGS } from './support.ts';

/** Runs `codistill` where no file can have more than so many KiB: for it and what it starts, the disk is full. */
async function runOnFullDisk(kibibytes: number, args: readonly string[]) {
  const shell = `ulimit -f ${kibibytes}; exec "$0" "$@"`;
  const child = spawn('bash', ['-c', shell, process.execPath, programPath('src/launch/main.js'), ...args]);
  afterwards(() => child.kill());
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit'),
  ]);
  return { code, stdout, stderr };
}

const filesIn = (folder: string): string[] => readdirSync(folder, { recursive: true }) as string[];

describe('a full disk', () => {
  it('ends no training: its results are printed, what is not saved is told, and nothing is half-written', async () => {
    const folder = join(await temporaryFolder(), 'run');
    const args = ['run', '--peers', '2xmlp', '--compare', '', '--json', '--dir', folder, ...TINY];
    const { code, stdout, stderr } = await runOnFullDisk(2, args);
    expect(code, stderr).toBe(ExitCode.unsaved);
    const summary = JSON.parse(stdout) as RunSummary;
    expect(summary.peers.map(({ outcome, weightsDigest }) => [outcome, weightsDigest])).toEqual([
      ['finished', null],
      ['finished', null],
    ]);
    expect(summary.ensemble).not.toBeNull();
    const [, told] = stderr.split('Not everything is saved:');
    for (const file of ['mlp-1/weights.safetensors', 'mlp-2/weights.safetensors', 'summary.json']) {
      expect(told).toContain(`${file}: EFBIG`);
    }
    const files = filesIn(folder);
    expect(
      files.filter((file) => /\.tmp$|\.safetensors$|summary\.json$|report\.html$|lock$/.test(file)),
    ).toEqual([]);
    expect(JSON.parse(readFileSync(join(folder, 'experiment.json'), 'utf8')).seed).toBe(0);
    for (const file of ['events.ndjson', 'metrics.ndjson']) {
      const content = readFileSync(join(folder, file), 'utf8');
      expect(content === '' || content.endsWith('\n')).toBe(true);
      await readNdjson(join(folder, file));
    }
  });
});

describe('a folder in use', () => {
  it('is refused by every program, which names the process that holds it', async () => {
    const folder = await temporaryFolder();
    const { program, url, runFolder } = await startCoordinator(
      ['--peers', '2xmlp', ...TINY_SETTINGS, ...LONG],
      folder,
    );
    const peer = await startPeer('a', url, folder);
    expect(await peer.logged('ready')).not.toBeNull();
    const refused = await Promise.all([
      runCli(['coordinator', '--port', '0', '--dir', runFolder], folder),
      runCli(['run', '--dir', runFolder], folder),
      runCli(['peer', '--coordinator', url, '--dir', join(folder, 'a')], folder),
    ]);
    for (const { code, stderr } of refused) {
      expect(stderr).toMatch(/Error: The folder is in use by process \d+ on .*, since /);
      expect(code).toBe(ExitCode.usage);
    }
    // The peer that is there was not disturbed by the one that wanted its folder.
    const { peers } = (await (await fetch(`${url.replace('ws', 'http')}/status.json`)).json()) as {
      peers: { connected: boolean }[];
    };
    expect(peers).toEqual([expect.objectContaining({ connected: true })]);
    program.kill('SIGKILL');
    await program.exited;
    expect(existsSync(join(runFolder, 'lock'))).toBe(true);
    const again = await startCoordinator(['--peers', '2xmlp', ...TINY_SETTINGS, ...LONG], folder);
    expect(again.runFolder).toBe(runFolder);
  });
});
