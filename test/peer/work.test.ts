import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { Report } from '../../peer/log.ts';
import { logitsAlone, noTeachers, type TeacherSource } from '../../peer/teachers.ts';
import { work } from '../../peer/work.ts';
import { loadBackend } from '../../src/backend/select.ts';
import { encodeMessage } from '../../src/protocol/wire.ts';
import { evaluateLogits } from '../../src/training/metrics.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';
import { createTinyStudent, settingsWith } from './support.ts';

beforeAll(async () => {
  await loadBackend('wasm');
});

/** 40 samples in batches of 8: 5 steps an epoch. */
const SETTINGS = settingsWith({ distill: { method: 'dml' }, training: { epochs: 3 } });

async function workWith(teachers: TeacherSource, stop = new AbortController()) {
  const student = await createTinyStudent(SETTINGS);
  onTestFinished(() => student.dispose());
  const folder = await temporaryFolder();
  const reports: Report[] = [];
  const result = await work({
    student,
    modelName: 'mlp',
    settings: SETTINGS,
    teachers,
    folder,
    signal: stop.signal,
    report: (message) => {
      // As a session does; throws for what the protocol cannot say.
      encodeMessage(message);
      reports.push(message);
    },
  });
  return {
    student,
    result,
    checkpoints: readdirSync(join(folder, 'checkpoints')).sort(),
    weights: readFileSync(join(folder, 'weights.safetensors')),
    evaluations: reports.filter((report) => report.type === 'evaluation'),
  };
}

describe('the work of a student', () => {
  it('is trained, evaluated after every epoch, and saved', async () => {
    const { student, result, checkpoints, weights, evaluations } = await workWith(noTeachers);
    expect(result).toMatchObject({ outcome: 'finished', step: 15 });
    expect(evaluations.map(({ step }) => step)).toEqual([5, 10, 15]);
    expect(checkpoints).toEqual(
      [5, 10, 15].map((step) => `step-${String(step).padStart(8, '0')}.safetensors`),
    );
    expect(result.weightsDigest).toBe(createHash('sha256').update(weights).digest('hex'));

    const { logits, evaluation } = result.final!;
    expect(logits).toHaveLength(20 * 10);
    expect(evaluation).toEqual(evaluateLogits(logits, student.dataset.test.labels, 10));
    expect(evaluations.at(-1)).toEqual({ type: 'evaluation', step: 15, ...evaluation });
    const best = evaluations.toSorted((a, b) => b.accuracy - a.accuracy || a.step - b.step)[0]!;
    expect({ type: 'evaluation', ...result.best }).toEqual(best);
    expect(result.log.imagesPerSecond).toBeGreaterThan(0);
  });

  it('is saved as far as it came when it is stopped', async () => {
    const stop = new AbortController();
    const teachers: TeacherSource = {
      ...noTeachers,
      updated: (step) => {
        if (step === 6) stop.abort();
      },
    };
    const { result, checkpoints, weights, evaluations } = await workWith(teachers, stop);
    expect(result).toMatchObject({ outcome: 'interrupted', step: 7, final: null });
    expect(evaluations.map(({ step }) => step)).toEqual([5]);
    expect(checkpoints).toEqual(['step-00000005.safetensors', 'step-00000007.safetensors']);
    expect(result.weightsDigest).toBe(createHash('sha256').update(weights).digest('hex'));
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
