import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { ExitCode } from '../../src/errors.ts';
import { readNdjson } from '../../src/results/files.ts';
import { readSummary } from '../../src/results/runFolder.ts';
import type { EventRecord, RunStatus, RunSummary } from '../../src/results/types.ts';
import { decodeSafetensors, encodeSafetensors } from '../../src/training/safetensors.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';
import {
  LONG,
  runCli,
  startCli,
  startCoordinator,
  startPeer,
  startRelay,
  TINY,
  TINY_DATA,
  TINY_SETTINGS,
} from './support.ts';

/** An experiment of a teacher and students, in a file of `folder`. */
function experimentIn(folder: string, students: string, teacher: string, more = ''): string {
  const path = join(folder, 'offline.yaml');
  writeFileSync(
    path,
    `name: offline\ndistill: { method: kd }\npeers:\n  - { model: mlp, ${students} }\n  - { role: teacher, ${teacher} }\n${more}`,
  );
  return path;
}

/** A run folder with a trained `cnn-s` in it. */
let before: string;

beforeAll(async () => {
  before = await mkdtemp(join(tmpdir(), 'codistill-teacher-'));
  const args = [
    'run',
    ...TINY,
    '--peers',
    'cnn-s',
    '--method',
    'independent',
    '--compare',
    '',
    '--dir',
    before,
  ];
  const { code, stderr } = await runCli(args, '.');
  expect(code, stderr).toBe(ExitCode.ok);
});

afterAll(() => rm(before, { recursive: true, force: true }));

/** Resolves when the first round of a run had its target. */
async function taught(url: string): Promise<void> {
  const rounds = async (): Promise<number> => {
    const response = await fetch(`${url.replace('ws', 'http')}/status.json`);
    return ((await response.json()) as RunStatus).rounds.committed;
  };
  await vi.waitUntil(async () => (await rounds()) > 0, { timeout: 30_000, interval: 20 });
}

const weightsIn = (folder: string): string => join(folder, 'peers', 'cnn-s-1', 'weights.safetensors');
const digests = ({ peers }: RunSummary) => peers.map(({ weightsDigest }) => weightsDigest);

describe('codistill run with a teacher', () => {
  it('trains it first, then the students with it and without, and leaves a folder of each', async () => {
    const folder = await temporaryFolder();
    const experiment = experimentIn(folder, 'count: 2', 'model: cnn-s', 'compare: [independent]\n');
    const dir = join(folder, 'run');
    const { code, stdout, stderr } = await runCli(
      ['run', experiment, ...TINY, '--json', '--dir', dir],
      folder,
    );
    expect(code, stderr).toBe(ExitCode.ok);
    const summary = JSON.parse(stdout) as RunSummary;
    expect(summary.method).toBe('kd');
    expect(
      summary.peers.map(({ name, role, model, steps, outcome }) => [name, role, model, steps, outcome]),
    ).toEqual([
      ['mlp-1', 'student', 'mlp', 16, 'finished'],
      ['mlp-2', 'student', 'mlp', 16, 'finished'],
      ['teacher-1', 'teacher', 'cnn-s', 0, 'finished'],
    ]);
    expect(summary.exchange).toMatchObject({
      rounds: 12,
      missed: { noTeachers: 0, quorum: 0, late: 0, refused: 0 },
    });
    const { independent } = summary.compare;
    expect(independent!.peers.map(({ name }) => name)).toEqual(['mlp-1', 'mlp-2']);
    expect(digests({ ...summary, ...independent })).not.toEqual(digests(summary).slice(0, 2));
    expect(summary.ensemble).not.toBeNull();
    expect(summary.verdict).toContain('at equal steps');

    const before = await readSummary(join(dir, 'teachers'));
    expect(before.peers.map(({ name, role, model }) => [name, role, model])).toEqual([
      ['teacher-1', 'student', 'cnn-s'],
    ]);
    // It teaches with the weights that it was trained to have.
    expect(summary.peers[2]!.test).toEqual(before.peers[0]!.test);
    for (const part of ['.', 'teachers', 'compare/independent']) {
      for (const file of [
        'experiment.json',
        'summary.json',
        'metrics.ndjson',
        'events.ndjson',
        'coordinator.log',
      ])
        expect(existsSync(join(dir, part, file)), join(part, file)).toBe(true);
    }
    const settings = JSON.parse(readFileSync(join(dir, 'experiment.json'), 'utf8'));
    expect(settings.peers.map(({ count }: { count: number }) => count)).toEqual([2, 1]);
    expect(settings.peers[1]).not.toHaveProperty('weights');
    expect(existsSync(join(dir, 'report.html'))).toBe(true);
    for (const text of ['1/3', '2/3', '3/3']) expect(stderr).toContain(text);

    const evaluated = await runCli(['eval', dir, '--json', ...TINY_DATA], folder);
    expect(JSON.parse(evaluated.stdout).peers.map(({ name }: { name: string }) => name)).toEqual([
      'mlp-1',
      'mlp-2',
    ]);
  });

  it('gives bit-identical students twice, with the weights of a run folder', async () => {
    const results: RunSummary[] = [];
    for (let i = 0; i < 2; i++) {
      const folder = await temporaryFolder();
      const experiment = experimentIn(folder, 'count: 2', `model: cnn-s, weights: ${before}`);
      const dir = join(folder, 'run');
      const { code, stdout, stderr } = await runCli(
        ['run', experiment, ...TINY, '--json', '--dir', dir],
        folder,
      );
      expect(code, stderr).toBe(ExitCode.ok);
      expect(existsSync(join(dir, 'teachers'))).toBe(false);
      results.push(JSON.parse(stdout));
    }
    const [first, second] = results.map(digests);
    expect(second).toEqual(first);
    expect(new Set(first).size).toBe(3);
    expect(first![2]).toBeNull();
  });

  it('compares features with those of the teacher', async () => {
    const folder = await temporaryFolder();
    const path = join(folder, 'at.yaml');
    writeFileSync(
      path,
      `distill: { method: at }\npeers:\n  - { model: cnn-s }\n  - { model: cnn-s, role: teacher, weights: ${before} }\n`,
    );
    const dir = join(folder, 'run');
    const { code, stdout, stderr } = await runCli(['run', path, ...TINY, '--json', '--dir', dir], folder);
    expect(code, stderr).toBe(ExitCode.ok);
    const summary = JSON.parse(stdout) as RunSummary;
    expect(summary.exchange).toMatchObject({ rounds: 12 });
    expect(Object.values(summary.exchange.missed)).toEqual([0, 0, 0, 0]);
    // Maps of 64 samples, not logits of 1.3 kB.
    expect(summary.peers[1]!.bytesUp).toBeGreaterThan(12 * 64 * 49 * 2);
  });
});

describe('a teacher with wrong weights', () => {
  it.each<[string, (folder: string) => Promise<string>, RegExp]>([
    [
      'of another model',
      async () => `model: lenet5, weights: ${weightsIn(before)}`,
      /teacher-1: .*expected weights of the model lenet5, found those of cnn-s\. Give other weights, or make cnn-s the teacher's model/,
    ],
    [
      'of another model in a run folder',
      async () => `model: lenet5, weights: ${before}`,
      /expected one peer with the model lenet5, found cnn-s-1 \(cnn-s\)\. Give another folder, or change the teacher's model/,
    ],
    [
      'for other classes',
      async (folder) => {
        const { tensors, metadata } = decodeSafetensors(readFileSync(weightsIn(before)));
        const path = join(folder, 'cifar.safetensors');
        writeFileSync(
          path,
          encodeSafetensors(tensors, { ...metadata, classes: '100', dataset: 'cifar-100' }),
        );
        return `model: cnn-s, weights: ${path}`;
      },
      /expected weights for 10 classes, found those for 100, trained on cifar-100\. Give other weights, or choose that dataset/,
    ],
  ])('is refused before training: %s', async (_, teacherOf, message) => {
    const folder = await temporaryFolder();
    const experiment = experimentIn(folder, 'count: 1', await teacherOf(folder));
    const dir = join(folder, 'run');
    const { code, stderr } = await runCli(['run', experiment, ...TINY, '--dir', dir], folder);
    expect(stderr).toMatch(message);
    expect(code).toBe(ExitCode.data);
    expect(readFileSync(join(dir, 'metrics.ndjson'), 'utf8')).toBe('');
  });
});

describe('a teacher and students that were started by hand', () => {
  const events = async (folder: string) => (await readNdjson(join(folder, 'events.ndjson'))) as EventRecord[];

  it('find each other: the teacher brings its weights, the student learns from it', async () => {
    const folder = await temporaryFolder();
    const weights = join(folder, 'weights.safetensors');
    await cp(weightsIn(before), weights);
    const experiment = experimentIn(folder, 'count: 1', 'model: cnn-s');
    const { program, url, runFolder } = await startCoordinator([experiment, ...TINY_SETTINGS], folder);
    const stranger = await startPeer('stranger', url, folder, ['--name', 'teacher-1']);
    expect(await stranger.exited).toBe(ExitCode.refused);
    expect(stranger.errorText()).toContain(
      '"teacher-1" is the place of a teacher, and this one says that it is a student',
    );

    const teacher = await startPeer('teacher', url, folder, ['--role', 'teacher', '--weights', weights]);
    const student = await startPeer('student', url, folder);
    expect(await Promise.all([teacher, student, program].map(({ exited }) => exited))).toEqual([0, 0, 0]);
    const { peers, exchange } = await readSummary(runFolder);
    expect(peers.map(({ name, role, outcome }) => [name, role, outcome])).toEqual([
      ['mlp-1', 'student', 'finished'],
      ['teacher-1', 'teacher', 'finished'],
    ]);
    expect(exchange.rounds).toBe(12);
    // It says what it predicts; the student, only which batch it is at.
    expect(peers[1]!.bytesUp).toBeGreaterThan(peers[0]!.bytesUp);
  });

  it('go on without a teacher that is killed: the students finish on the labels alone', async () => {
    const folder = await temporaryFolder();
    const experiment = experimentIn(folder, 'count: 2', 'model: cnn-s');
    const { program, url, runFolder } = await startCoordinator(
      [experiment, ...TINY_SETTINGS, ...LONG],
      folder,
    );
    const teacher = await startPeer('teacher', url, folder, ['--role', 'teacher', '--weights', before]);
    const students = [await startPeer('a', url, folder), await startPeer('b', url, folder)];
    await Promise.all(students.map((student) => student.logged('training')));
    await taught(url);
    teacher.kill('SIGKILL');
    expect(await Promise.all(students.map(({ exited }) => exited))).toEqual([0, 0]);
    expect(await program.exited).toBe(ExitCode.incomplete);

    const { peers, exchange } = await readSummary(runFolder);
    expect(peers.map(({ name, outcome, steps }) => [name, outcome, steps])).toEqual([
      ['mlp-1', 'finished', 800],
      ['mlp-2', 'finished', 800],
      ['teacher-1', 'lost', 0],
    ]);
    expect(exchange.missed.noTeachers).toBeGreaterThan(0);
    expect(await events(runFolder)).toContainEqual(
      expect.objectContaining({ event: 'left', peer: 'teacher-1' }),
    );
  });

  it('meet again after a cut: the teacher has waited, and has not run through the batches', async () => {
    const folder = await temporaryFolder();
    const experiment = experimentIn(folder, 'count: 1', 'model: cnn-s');
    const { program, url, runFolder } = await startCoordinator(
      [experiment, ...TINY_SETTINGS, ...LONG],
      folder,
    );
    const relay = await startRelay(url);
    const teacher = await startPeer('teacher', url, folder, ['--role', 'teacher', '--weights', before]);
    const student = await startPeer('student', relay.url, folder);
    await student.logged('training');
    await taught(url);
    relay.cut();
    expect(await Promise.all([teacher, student, program].map(({ exited }) => exited))).toEqual([0, 0, 0]);
    const { peers, exchange } = await readSummary(runFolder);
    expect(peers.map(({ outcome, steps }) => [outcome, steps])).toEqual([
      ['finished', 800],
      ['finished', 0],
    ]);
    expect((await events(runFolder)).filter(({ event }) => event === 'left')).toHaveLength(1);
    // 796 rounds; the cut costs those until the next attempt, at most 0.25 s later.
    expect(exchange.rounds).toBeGreaterThan(100);
    expect(exchange.missed.late).toBe(0);
  });
});

describe('an interrupted run with a teacher', () => {
  it('stops within three seconds; the teacher is interrupted like the others', async () => {
    const folder = await temporaryFolder();
    const experiment = experimentIn(folder, 'count: 1', `model: cnn-s, weights: ${before}`);
    const dir = join(folder, 'run');
    const cli = startCli(['run', experiment, ...TINY, '--epochs', '5000', '--dir', dir], folder);
    await cli.said(/mlp-1.*step [1-9]\d*\/20000/);
    const interruptedAt = performance.now();
    cli.child.kill('SIGINT');
    const { code, stderr } = await cli.finished;
    expect(code, stderr).toBe(ExitCode.interrupted);
    // Programs are ended after 2.7 s; the rest is for this machine's other work.
    expect(performance.now() - interruptedAt).toBeLessThan(4_000);
    const { peers, interrupted } = await readSummary(dir);
    expect(interrupted).toBe(true);
    expect(peers.map(({ name, outcome }) => [name, outcome])).toEqual([
      ['mlp-1', 'interrupted'],
      ['teacher-1', 'interrupted'],
    ]);
  });
});
