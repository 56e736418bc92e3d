import { EventEmitter, once as waitFor } from 'node:events';
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { StorageError, UsageError } from '../../src/errors.ts';
import type { Logger } from '../../src/logger.ts';
import { readNdjson } from '../../src/results/files.ts';
import { expectNoRun, metricsOf, openRecorder, SUMMARY_NOT_SAVED } from '../../src/results/recorder.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';

const NOW = '2026-01-31T14:25:30.123Z';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: new Date(NOW) });
});
afterEach(() => {
  vi.useRealTimers();
});

const evaluation = { kind: 'evaluation', peer: 'peer-1', step: 5, accuracy: 0.5, nll: 1, ece: 0.1 } as const;
const joined = { event: 'joined', peer: 'peer-1' } as const;

const jsonOf = async (path: string): Promise<unknown> => JSON.parse(await readFile(path, 'utf8'));

describe('a recorder', () => {
  test('makes the folder and writes the experiment first, for whoever looks in while it runs', async () => {
    const folder = join(await temporaryFolder(), 'runs', 'first');
    const recorder = await openRecorder(folder, { seed: 3 });
    expect(await readFile(join(folder, 'experiment.json'), 'utf8')).toBe('{\n  "seed": 3\n}\n');
    expect((await readdir(folder)).sort()).toEqual(['events.ndjson', 'experiment.json', 'metrics.ndjson']);
    await recorder.close({});
  });

  test('keeps events and metrics in their order, with the time, and the summary', async () => {
    const folder = await temporaryFolder();
    const recorder = await openRecorder(folder, {});
    recorder.event(joined);
    recorder.metrics(evaluation);
    recorder.event({ event: 'left', peer: 'peer-1', reason: 'done' });
    recorder.metrics({ ...evaluation, step: 10 });
    await recorder.close({ method: 'dml' });
    expect(await readNdjson(join(folder, 'events.ndjson'))).toEqual([
      { time: NOW, ...joined },
      { time: NOW, event: 'left', peer: 'peer-1', reason: 'done' },
    ]);
    expect(await readNdjson(join(folder, 'metrics.ndjson'))).toEqual([
      { time: NOW, ...evaluation },
      { time: NOW, ...evaluation, step: 10 },
    ]);
    expect(await jsonOf(join(folder, 'summary.json'))).toEqual({ method: 'dml' });
  });

  test('takes no notice of what comes after its end', async () => {
    const folder = await temporaryFolder();
    const recorder = await openRecorder(folder, {});
    const closing = recorder.close({});
    recorder.event(joined);
    recorder.metrics(evaluation);
    await closing;
    recorder.event(joined);
    expect(await readNdjson(join(folder, 'events.ndjson'))).toEqual([]);
    expect(await readNdjson(join(folder, 'metrics.ndjson'))).toEqual([]);
  });

  test('refuses a folder that holds a run, and leaves that as it is', async () => {
    const folder = await temporaryFolder();
    const recorder = await openRecorder(folder, { seed: 1 });
    recorder.metrics(evaluation);
    await recorder.close({ method: 'dml' });
    expect(() => expectNoRun(folder)).toThrow(UsageError);
    await expect(openRecorder(folder, { seed: 2 })).rejects.toThrow(
      `--dir ${folder}: expected a new folder, but it holds a run. Choose another one, or go on with that run: codistill run --resume ${folder}`,
    );
    expect(await jsonOf(join(folder, 'experiment.json'))).toEqual({ seed: 1 });
    expect(await readNdjson(join(folder, 'metrics.ndjson'))).toHaveLength(1);
    expect(await jsonOf(join(folder, 'summary.json'))).toEqual({ method: 'dml' });
  });

  test('refuses the folder of a run that was killed before its summary', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'metrics.ndjson'), '{"kind":"progr');
    await expect(openRecorder(folder, {})).rejects.toThrow('it holds a run');
  });

  test('accepts a folder that is new, empty or holds an experiment only, as the launcher leaves it', async () => {
    const folder = await temporaryFolder();
    expectNoRun(join(folder, 'new'));
    expectNoRun(folder);
    await writeFile(join(folder, 'experiment.json'), '{}');
    expectNoRun(folder);
    const recorder = await openRecorder(folder, { seed: 4 });
    await recorder.close({});
    expect(await jsonOf(join(folder, 'experiment.json'))).toEqual({ seed: 4 });
  });

  test('accepts the folder of a run that ended before anything was measured', async () => {
    const folder = await temporaryFolder();
    const waitedInVain = await openRecorder(folder, {});
    await waitedInVain.close({});
    const recorder = await openRecorder(folder, {});
    recorder.metrics(evaluation);
    await recorder.close({});
    expect(await readNdjson(join(folder, 'metrics.ndjson'))).toHaveLength(1);
  });
});

describe('a disk that takes nothing', () => {
  type Log = [text: string, fields: Record<string, unknown>];
  function logger() {
    const log: Log[] = [];
    const note = (fields: Record<string, unknown>, text: string): void => void log.push([text, fields]);
    return { log, logger: { error: note, info: note } as unknown as Logger };
  }

  test('ends no recording; at the end it is a failure, and the summary is saved where it can be', async () => {
    const folder = await temporaryFolder();
    await symlink('/dev/full', join(folder, 'metrics.ndjson'));
    const { log, ...options } = logger();
    const recorder = await openRecorder(folder, {}, options);
    recorder.event(joined);
    recorder.metrics(evaluation);
    recorder.metrics(evaluation);
    await expect(recorder.close({ method: 'dml' })).rejects.toThrow(/metrics\.ndjson: ENOSPC/);
    expect(log).toEqual([
      ['results not saved', { reason: expect.stringMatching(/metrics\.ndjson: ENOSPC/) }],
    ]);
    expect(await jsonOf(join(folder, 'summary.json'))).toEqual({ method: 'dml' });
    expect((await readNdjson(join(folder, 'events.ndjson')))[0]).toMatchObject(joined);
  });

  test('is an event of the run, too, while that goes on', async () => {
    const folder = await temporaryFolder();
    await symlink('/dev/full', join(folder, 'metrics.ndjson'));
    const failed = new EventEmitter();
    const error = (): void => void failed.emit('failed');
    const recorder = await openRecorder(folder, {}, { logger: { error, info: error } as unknown as Logger });
    const once = waitFor(failed, 'failed');
    recorder.metrics(evaluation);
    await once;
    await expect(recorder.close({})).rejects.toThrow(StorageError);
    expect(await readNdjson(join(folder, 'events.ndjson'))).toEqual([
      { time: NOW, event: 'unsaved', reason: expect.stringMatching(/metrics\.ndjson: ENOSPC/) },
    ]);
  });

  test('has the summary in the log in its place', async () => {
    const folder = await temporaryFolder();
    await mkdir(join(folder, 'summary.json', 'in the way'), { recursive: true });
    const { log, ...options } = logger();
    const recorder = await openRecorder(folder, {}, options);
    await expect(recorder.close({ method: 'dml' })).rejects.toThrow(StorageError);
    expect(log).toEqual([[SUMMARY_NOT_SAVED, { summary: { method: 'dml' } }]]);
  });

  test('lets no run begin', async () => {
    const folder = join(await temporaryFolder(), 'run');
    await writeFile(folder, 'a file, not a folder');
    await expect(openRecorder(folder, {})).rejects.toThrow(StorageError);
  });
});

describe('the record of a report', () => {
  const values = {
    step: 25,
    steps: 775,
    loss: 2,
    crossEntropy: 1.5,
    distillation: 0.5,
    accuracy: 0.4,
    learningRate: 0.02,
    distillationWeight: 1,
    imagesPerSecond: 800,
    waitFraction: 0.1,
  };

  test('of progress holds its values under the name of the peer', () => {
    expect(metricsOf('peer-1', { type: 'progress', phase: 'training', ...values })).toEqual({
      kind: 'progress',
      peer: 'peer-1',
      ...values,
    });
  });

  test('of an evaluation does, too', () => {
    const measured = { step: 5, accuracy: 0.5, nll: 1, ece: 0.1 };
    expect(metricsOf('peer-1', { type: 'evaluation', ...measured })).toEqual(evaluation);
  });

  test('of a sign of life during an evaluation does not exist: its values were recorded before', () => {
    expect(metricsOf('peer-1', { type: 'progress', phase: 'evaluating', ...values })).toBeNull();
  });
});
