import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Report } from '../../peer/log.ts';
import { decodeSealed } from '../../peer/sealed.ts';
import { logitsAlone, noTeachers, type TeacherSource } from '../../peer/teachers.ts';
import { work } from '../../peer/work.ts';
import { loadBackend } from '../../src/backend/select.ts';
import { StorageError } from '../../src/errors.ts';
import { encodeMessage } from '../../src/protocol/wire.ts';
import { readPredictions } from '../../src/results/predictions.ts';
import { evaluateLogits } from '../../src/training/metrics.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';
import { createTinyStudent, settingsWith } from './support.ts';

beforeAll(async () => {
  await loadBackend('wasm');
});

/** 40 samples in batches of 8: 5 steps an epoch. */
const SETTINGS = settingsWith({ distill: { method: 'dml' }, training: { epochs: 3 } });

async function workWith(
  teachers: TeacherSource,
  stop = new AbortController(),
  { folder = '', settings = SETTINGS } = {},
) {
  const student = await createTinyStudent(settings);
  onTestFinished(() => student.dispose());
  folder ||= await temporaryFolder();
  const told: string[] = [];
  const reports: Report[] = [];
  const result = await work({
    student,
    modelName: 'mlp',
    settings,
    teachers,
    owner: { run: 'run-1', settings },
    ...{ folder, checkpoint: null, firstStep: 0 },
    signal: stop.signal,
    report: (message) => {
      // As a session does; throws for what the protocol cannot say.
      encodeMessage(message);
      reports.push(message);
    },
    notify: (what) => void told.push(what.replaceAll(folder, '')),
  });
  return {
    student,
    result,
    told,
    folder,
    evaluations: reports.filter((report) => report.type === 'evaluation'),
  };
}

const checkpointsIn = (folder: string): string[] => readdirSync(join(folder, 'checkpoints')).sort();
const namesOf = (...steps: number[]): string[] =>
  steps.map((step) => `step-${String(step).padStart(8, '0')}.safetensors`);
const digestIn = (folder: string): string =>
  createHash('sha256')
    .update(readFileSync(join(folder, 'weights.safetensors')))
    .digest('hex');

/** Nobody teaches; `act` is called after each step, with the number of steps done. */
const afterEachStep = (act: (steps: number) => void): TeacherSource => ({
  ...noTeachers,
  updated: (step) => act(step + 1),
});

describe('the work of a student', () => {
  it('is trained, evaluated after every epoch, and saved', async () => {
    const { student, result, folder, told, evaluations } = await workWith(noTeachers);
    expect(result).toMatchObject({ outcome: 'finished', step: 15, unsaved: null });
    expect(told).toEqual([]);
    expect(evaluations.map(({ step }) => step)).toEqual([5, 10, 15]);
    expect(checkpointsIn(folder)).toEqual(namesOf(5, 10, 15));
    expect(result.weightsDigest).toBe(digestIn(folder));

    const { logits, evaluation } = result.final!;
    expect(logits).toHaveLength(20 * 10);
    expect(evaluation).toEqual(evaluateLogits(logits, student.dataset.test.labels, 10));
    expect(evaluations.at(-1)).toEqual({ type: 'evaluation', step: 15, ...evaluation });
    expect(await readPredictions(folder)).toEqual({ logits, labels: student.dataset.test.labels });
    const best = evaluations.toSorted((a, b) => b.accuracy - a.accuracy || a.step - b.step)[0]!;
    expect({ type: 'evaluation', ...result.best }).toEqual(best);
    expect(result.log.imagesPerSecond).toBeGreaterThan(0);
  });

  it('is saved as far as it came when it is stopped', async () => {
    const stop = new AbortController();
    const said = tf.variable(tf.tensor1d([3, 1]), false);
    onTestFinished(() => said.dispose());
    const teachers = {
      ...afterEachStep((steps) => {
        if (steps === 7) stop.abort();
      }),
      state: new Map([['said', said]]),
    };
    const { result, folder, evaluations } = await workWith(teachers, stop);
    expect(result).toMatchObject({ outcome: 'interrupted', step: 7, final: null });
    expect(evaluations.map(({ step }) => step)).toEqual([5]);
    expect(checkpointsIn(folder)).toEqual(namesOf(5, 7));
    expect(result.weightsDigest).toBe(digestIn(folder));
    // With what its teachers remember.
    const { tensors } = decodeSealed(readFileSync(join(folder, 'checkpoints', namesOf(7)[0]!)));
    expect(tensors.get('memory.said')?.values).toEqual(Float32Array.of(3, 1));
  });

  it('is saved between evaluations, too, once it has gone a minute without', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    onTestFinished(() => void vi.useRealTimers());
    const settings = settingsWith({
      distill: { method: 'dml' },
      training: { epochs: 3, evaluateEvery: 3 },
    });
    const saved: string[][] = [];
    const folder = await temporaryFolder();
    const teachers = afterEachStep(() => {
      saved.push(existsSync(join(folder, 'checkpoints')) ? checkpointsIn(folder) : []);
      vi.advanceTimersByTime(19_999);
    });
    await workWith(teachers, undefined, { folder, settings });
    // Four steps take 80 s less 4 ms: each fourth one is the first that ends a minute after the last checkpoint.
    expect(saved.slice(0, 9)).toEqual([
      ...[[], [], [], []],
      ...Array.from({ length: 4 }, () => namesOf(4)),
      namesOf(4, 8),
    ]);
    expect(checkpointsIn(folder)).toEqual(namesOf(8, 12, 15));
  });

  it('goes on when checkpoints cannot be saved, and says so once, and once that they can again', async () => {
    const folder = await temporaryFolder();
    const inTheWay = join(folder, 'checkpoints');
    writeFileSync(inTheWay, 'a file, not a folder');
    const teachers = afterEachStep((steps) => {
      if (steps === 14) rmSync(inTheWay);
    });
    const { result, told } = await workWith(teachers, undefined, { folder });
    expect(result).toMatchObject({ outcome: 'finished', step: 15, unsaved: null });
    expect(told).toEqual([
      expect.stringMatching(
        /^Could not write \/checkpoints: .* Make room .* Training goes on; .* tried again\.$/,
      ),
      'checkpoints are saved again',
    ]);
    expect(checkpointsIn(folder)).toEqual(namesOf(15));
  });

  it('comes to its end with what cannot be saved of it', async () => {
    const folder = await temporaryFolder();
    mkdirSync(join(folder, 'weights.safetensors', 'in the way'), { recursive: true });
    const { result } = await workWith(noTeachers, undefined, { folder });
    expect(result).toMatchObject({ outcome: 'finished', weightsDigest: null });
    expect(result.final).not.toBeNull();
    expect(result.unsaved).toBeInstanceOf(StorageError);
    expect(result.unsaved!.message).toContain('weights.safetensors');
  });

  it('is not saved when it was stopped and has no checkpoint to go on from', async () => {
    const folder = await temporaryFolder();
    writeFileSync(join(folder, 'checkpoints'), 'a file, not a folder');
    const stop = new AbortController();
    stop.abort();
    const { result } = await workWith(noTeachers, stop, { folder });
    expect(result.weightsDigest).toBe(digestIn(folder));
    expect(result.unsaved?.message).toContain('checkpoints');
  });

  it('comes to its end, in numbers that can be sent, though the weights are not finite', async () => {
    const poison: TeacherSource = {
      ...noTeachers,
      teach: async ({ student }) => ({
        target: logitsAlone(tf.fill(student.logits.shape, Number.NaN)),
        waitedMs: 0,
      }),
    };
    const { result, evaluations } = await workWith(poison);
    expect(result.outcome).toBe('finished');
    expect(result.final!.logits.every(Number.isNaN)).toBe(true);
    expect(evaluations).toHaveLength(3);
    for (const values of [result.final!.evaluation, ...evaluations]) {
      expect(values).toMatchObject({ nll: Number.MAX_VALUE, accuracy: expect.any(Number) });
      expect(values.ece).toBe(1);
    }
  });
});
