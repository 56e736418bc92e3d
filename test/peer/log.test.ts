import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { createTrainingLog, type Report, type StepRecord } from '../../peer/log.ts';
import { loadBackend } from '../../src/backend/select.ts';
import { encodeMessage } from '../../src/protocol/wire.ts';
import { expectNoLeak } from '../support/tensors.ts';

beforeAll(async () => {
  await loadBackend('wasm');
});

/** A log of training in three classes whose clock the test moves. */
function createLog() {
  let time = 500;
  const reports: Report[] = [];
  const log = createTrainingLog({ classes: 3, graceSteps: 10, now: () => time }, (report) => {
    // As a session does; throws for what the protocol cannot say.
    encodeMessage(report);
    reports.push(report);
  });
  return {
    log,
    reports,
    pass: (ms: number) => {
      time += ms;
    },
  };
}

/** A step of 100 on 8 samples with these sums: loss, cross-entropy, distillation, correct predictions. */
const record = (
  step: number,
  sums: readonly number[] = [8, 8, 8, 4],
  changes: Partial<StepRecord> = {},
): StepRecord => ({
  step,
  steps: 100,
  samples: 8,
  sums: tf.tensor1d([...sums]),
  learningRate: 0.25,
  distillationWeight: 2,
  waitedMs: 0,
  ...changes,
});

describe('the log of a training', () => {
  it('reports after a second, as means over all samples since the last report', async () => {
    const { log, reports, pass } = createLog();
    pass(400);
    await log.step(record(1, [16, 8, 4, 2]));
    pass(599);
    await log.step(record(2, [16, 8, 4, 4]));
    expect(reports).toEqual([]);
    pass(1);
    await log.step(record(3, [64, 32, 16, 6]));
    expect(reports).toEqual([
      {
        type: 'progress',
        phase: 'training',
        step: 3,
        steps: 100,
        loss: 4,
        crossEntropy: 2,
        distillation: 1,
        accuracy: 0.5,
        learningRate: 0.25,
        distillationWeight: 2,
        imagesPerSecond: 24,
        waitFraction: 0,
      },
    ]);
  });

  it('begins anew after each report', async () => {
    const { log, reports, pass } = createLog();
    pass(1_000);
    await log.step(record(1, [80, 80, 80, 8]));
    pass(999);
    await log.step(record(2));
    expect(reports).toHaveLength(1);
    pass(1_001);
    await log.step(record(3, [24, 24, 24, 4]));
    expect(reports[1]).toMatchObject({ step: 3, loss: 2, accuracy: 0.5, imagesPerSecond: 8 });
  });

  it('reports the last step, however soon it is', async () => {
    const { log, reports, pass } = createLog();
    pass(1);
    await log.step(record(100));
    expect(reports).toMatchObject([{ step: 100 }]);
  });

  it('does not count paused time, in reports and in all', async () => {
    const { log, reports, pass } = createLog();
    pass(500);
    await log.step(record(1));
    log.pause();
    pass(60_000);
    log.pause();
    log.resume();
    log.resume();
    pass(500);
    await log.step(record(2));
    expect(reports).toMatchObject([{ imagesPerSecond: 16 }]);
    log.pause();
    pass(60_000);
    expect(log.imagesPerSecond).toBe(16);
    expect(log.stepMs).toBe(500);
  });

  it('tells which share of the time was waiting: since the last report, and of all', async () => {
    const { log, reports, pass } = createLog();
    pass(1_000);
    await log.step(record(1, undefined, { waitedMs: 750 }));
    pass(3_000);
    await log.step(record(2, undefined, { waitedMs: 750 }));
    expect(reports).toMatchObject([{ waitFraction: 0.75 }, { waitFraction: 0.25 }]);
    expect(log.waitFraction).toBe(1_500 / 4_000);
    await log.step(record(3, undefined, { waitedMs: 9_999 }));
    expect(log.waitFraction).toBe(1);
  });

  it('has numbers even when no time went by and nothing was done', async () => {
    const { log } = createLog();
    expect([log.imagesPerSecond, log.waitFraction]).toEqual([0, 0]);
    expect(log.stepMs).toBeLessThan(1);
  });

  it('gives a sign of life from an evaluation, with the latest values', async () => {
    const { log, reports, pass } = createLog();
    log.evaluating();
    expect(reports, 'nothing is known yet').toEqual([]);
    pass(1_000);
    await log.step(record(7));
    log.evaluating();
    expect(reports[1]).toEqual({ ...reports[0], phase: 'evaluating' });
  });

  it('gives notice of a loss that is not finite, once, and of its recovery', async () => {
    const { log, reports, pass } = createLog();
    const notices = () => reports.filter(({ type }) => type === 'notice');
    for (const [step, loss] of [Number.NaN, Infinity, Number.NaN].entries()) {
      pass(1_000);
      await log.step(record(step + 1, [loss, loss, loss, 0]));
    }
    expect(reports).toHaveLength(4);
    expect(reports[0]).toMatchObject({ loss: Number.MAX_VALUE, crossEntropy: Number.MAX_VALUE });
    expect(notices()).toMatchObject([{ event: 'collapsed', step: 1 }]);
    pass(1_000);
    await log.step(record(4, [1, 1, 1, 8]));
    expect(notices()).toMatchObject([{ event: 'collapsed' }, { event: 'recovered', step: 4 }]);
  });

  it('takes the sums over, and keeps none after a report', async () => {
    const { log, pass } = createLog();
    await expectNoLeak(async () => {
      for (let step = 1; step <= 5; step++) await log.step(record(step));
      pass(1_000);
      await log.step(record(6));
    });
  });
});
