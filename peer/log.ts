import * as tf from '@tensorflow/tfjs';
import type { MessageOf, PeerMessage } from '../src/protocol/messages.ts';
import { createHealth } from '../src/training/health.ts';

export interface StepRecord {
  /** Steps done, of `steps`. */
  readonly step: number;
  readonly steps: number;
  /** Samples in the batch. */
  readonly samples: number;
  /** Sums over the batch, see `batchLoss`; taken over by the log. */
  readonly sums: tf.Tensor1D;
  readonly learningRate: number;
  readonly distillationWeight: number;
  readonly waitedMs: number;
}

/** What a peer tells about its training. */
export type Report = MessageOf<PeerMessage, 'progress' | 'evaluation' | 'notice'>;

/** Gathers what happens in training and reports it about once a second. */
export interface TrainingLog {
  step(record: StepRecord): Promise<void>;
  /** Time that is not training, such as an evaluation, does not count. */
  pause(): void;
  resume(): void;
  /** A sign of life from a phase without steps. */
  evaluating(): void;
  /** Over the whole training so far. */
  readonly imagesPerSecond: number;
  /** Share of the training time spent waiting for targets, 0-1. */
  readonly waitFraction: number;
  /** Mean duration of a step in milliseconds, waiting included. */
  readonly stepMs: number;
}

/** Steps between reports are so many that this time passes, in milliseconds. */
const REPORT_EVERY_MS = 1_000;

/**
 * @param graceSteps first steps, in which a healthy student may not have learnt anything yet
 * @param now a monotonic clock, in milliseconds
 */
export function createTrainingLog(
  options: { readonly classes: number; readonly graceSteps: number; readonly now: () => number },
  report: (message: Report) => void,
): TrainingLog {
  const { now } = options;
  const health = createHealth(options.classes, options.graceSteps);
  let total = { steps: 0, samples: 0, waitedMs: 0, pausedMs: 0, startedAt: now() };
  let since = { ...total, at: total.startedAt };
  let sums: tf.Tensor1D | null = null;
  let pausedAt: number | null = null;
  let latest: MessageOf<PeerMessage, 'progress'> | null = null;

  const elapsedMs = (): number => Math.max(1e-3, (pausedAt ?? now()) - total.startedAt - total.pausedMs);

  /** One small read from the device for many steps. */
  const flush = async (record: StepRecord): Promise<void> => {
    const [loss, crossEntropy, distillation, correct] = await sums!.data();
    sums!.dispose();
    sums = null;
    const samples = total.samples - since.samples;
    const intervalMs = Math.max(1e-3, now() - since.at - (total.pausedMs - since.pausedMs));
    const mean = crossEntropy! / samples;
    latest = {
      type: 'progress',
      phase: 'training',
      step: record.step,
      steps: record.steps,
      loss: finite(loss! / samples),
      crossEntropy: finite(mean),
      distillation: finite(distillation! / samples),
      accuracy: correct! / samples,
      learningRate: record.learningRate,
      distillationWeight: record.distillationWeight,
      imagesPerSecond: (samples / intervalMs) * 1000,
      waitFraction: Math.min(1, (total.waitedMs - since.waitedMs) / intervalMs),
    };
    since = { ...total, at: now() };
    report(latest);
    const change = health.observe(record.step, mean);
    if (change) report({ type: 'notice', step: record.step, ...change });
  };

  return {
    async step(record) {
      total = {
        ...total,
        steps: total.steps + 1,
        samples: total.samples + record.samples,
        waitedMs: total.waitedMs + record.waitedMs,
      };
      const previous = sums;
      sums = previous ? tf.add(previous, record.sums) : record.sums;
      if (previous) tf.dispose([previous, record.sums]);
      if (now() - since.at >= REPORT_EVERY_MS || record.step >= record.steps) await flush(record);
    },
    pause() {
      pausedAt ??= now();
    },
    resume() {
      if (pausedAt === null) return;
      total = { ...total, pausedMs: total.pausedMs + now() - pausedAt };
      pausedAt = null;
    },
    evaluating() {
      if (latest) report({ ...latest, phase: 'evaluating' });
    },
    get imagesPerSecond() {
      return (total.samples / elapsedMs()) * 1000;
    },
    get waitFraction() {
      return Math.min(1, total.waitedMs / elapsedMs());
    },
    get stepMs() {
      return elapsedMs() / Math.max(1, total.steps);
    },
  };
}

/** JSON and the protocol know no NaN; a loss beyond all bounds is reported as the largest number. */
function finite(value: number): number {
  return Number.isFinite(value) ? value : Number.MAX_VALUE;
}
