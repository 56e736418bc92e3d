import type { RunSettings } from '../src/config/schema.ts';
import { StorageError } from '../src/errors.ts';
import { savePredictions } from '../src/results/predictions.ts';
import type { BestEvaluation, Evaluation } from '../src/results/types.ts';
import { evaluateLogits } from '../src/training/metrics.ts';
import { createCheckpointing } from './checkpointing.ts';
import { assignCheckpoint, type CheckpointOwner, type FoundCheckpoint } from './checkpoints.ts';
import { createTrainingLog, type Report, type TrainingLog } from './log.ts';
import type { Student } from './student.ts';
import type { TeacherSource } from './teachers.ts';
import { totalSteps, train } from './train.ts';
import { saveWeights } from './weightFiles.ts';

export interface WorkOptions {
  readonly student: Student;
  /** As the user wrote it: a name, or a path. */
  readonly modelName: string;
  readonly settings: RunSettings;
  readonly teachers: TeacherSource;
  /** Whose checkpoints those in the folder are. */
  readonly owner: CheckpointOwner;
  /** Where weights and checkpoints go. */
  readonly folder: string;
  /** The work of an earlier life that this one goes on with; `null`: it begins anew. */
  readonly checkpoint: FoundCheckpoint | null;
  /** Where a student without a checkpoint begins. */
  readonly firstStep: number;
  /** Told how many steps the weights have had, before the first one and after each. */
  readonly at?: (step: number) => void;
  readonly signal: AbortSignal;
  readonly report: (message: Report) => void;
  /** Told when checkpoints cannot be saved, and when they can again, in words. */
  readonly notify: (what: string) => void;
}

/** What came out of a student's training. */
export interface WorkResult {
  readonly outcome: 'finished' | 'interrupted';
  readonly step: number;
  readonly log: TrainingLog;
  /** Logits on the test set after the last step, and their quality; `null` when interrupted. */
  readonly final: { readonly logits: Float32Array; readonly evaluation: Evaluation } | null;
  /** The most accurate evaluation, the first of equal ones; `null` without any. */
  readonly best: BestEvaluation | null;
  /** SHA-256 (hex) of the weights file; `null` when it could not be written. */
  readonly weightsDigest: string | null;
  /** Why the weights, or the checkpoint to go on from, could not be saved; `null` when they are. */
  readonly unsaved: StorageError | null;
}

/** A student's whole work: train, evaluate, checkpoint, and save the weights at the end, also when it is interrupted. */
export async function work(options: WorkOptions): Promise<WorkResult> {
  const { student, settings, signal, report, folder, owner, teachers, checkpoint } = options;
  const { model, dataset, optimizer, loss, name } = student;
  const steps = totalSteps(settings, dataset);
  // A tenth of the training, or what the schedules hold back, is time enough to beat guessing.
  const graceSteps = Math.max(100, settings.training.warmUpSteps, Math.ceil(steps / 10));
  const log = createTrainingLog({ classes: model.classes, graceSteps, now: () => performance.now() }, report);

  if (checkpoint) assignCheckpoint(checkpoint, student, teachers.state);
  const from = checkpoint?.step ?? options.firstStep;
  options.at?.(from);
  const checkpoints = createCheckpointing({
    ...{ folder, student, owner, memory: teachers.state, notify: options.notify },
    now: () => performance.now(),
  });

  let final: WorkResult['final'] = null;
  let best: WorkResult['best'] = checkpoint?.best ?? null;
  const evaluate = async (step: number): Promise<void> => {
    options.at?.(step);
    log.pause();
    let toldAt = performance.now();
    const logits = await student.predictTestSet(signal, () => {
      if (performance.now() - toldAt < 1_000) return;
      toldAt = performance.now();
      log.evaluating();
    });
    if (logits) {
      const evaluation = evaluateLogits(logits, dataset.test.labels, model.classes);
      report({ type: 'evaluation', step, ...evaluation });
      if (evaluation.accuracy > (best?.accuracy ?? -1)) best = { step, ...evaluation };
      if (step === steps) final = { logits, evaluation };
      else await checkpoints.save(step, best);
    }
    log.resume();
  };
  const keep = async (step: number): Promise<void> => {
    options.at?.(step);
    if (!checkpoints.isDue()) return;
    log.pause();
    await checkpoints.save(step, best);
    log.resume();
  };

  const step = await train({
    peer: name,
    settings,
    dataset,
    model,
    loss,
    optimizer,
    teachers,
    log,
    evaluate,
    keep,
    signal,
    from,
  });
  log.pause();
  const outcome = final ? 'finished' : 'interrupted';
  const unsavedCheckpoint = await checkpoints.save(step, best);
  const problems: StorageError[] = [];
  const saved = <T>(saving: Promise<T>): Promise<T | null> =>
    saving.catch((error: unknown) => {
      if (!(error instanceof StorageError)) throw error;
      problems.push(error);
      return null;
    });
  const weightsDigest = await saved(saveWeights(folder, student, options.modelName));
  const logits = (final as WorkResult['final'])?.logits;
  if (logits) await saved(savePredictions(folder, { logits, labels: dataset.test.labels }));
  // A training that is over needs no checkpoint any more.
  const unsaved = problems[0] ?? (outcome === 'interrupted' ? unsavedCheckpoint : null);
  return { outcome, step, log, final, best, weightsDigest, unsaved };
}
