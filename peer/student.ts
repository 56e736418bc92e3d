import { setImmediate as eventLoopTurn } from 'node:timers/promises';
import type { RunSettings } from '../src/config/schema.ts';
import { loadDataset } from '../src/datasets/load.ts';
import type { Dataset } from '../src/datasets/types.ts';
import { getMethod } from '../src/distill/index.ts';
import { findModel } from '../src/findModel.ts';
import type { Model } from '../src/models/types.ts';
import { deriveKey } from '../src/random.ts';
import { createEmaTeacher, type EmaTeacher } from '../src/training/emaTeacher.ts';
import { predictTestSet } from '../src/training/evaluate.ts';
import { createSgd, type Optimizer } from '../src/training/optimizer.ts';

export interface StudentOptions {
  readonly name: string;
  /** A model's name, or the path of a module that exports one. */
  readonly model: string;
  readonly settings: RunSettings;
  readonly dataDir?: string;
  readonly download: boolean;
}

/** One student with all that its training needs on this machine. */
export interface Student {
  readonly name: string;
  readonly dataset: Dataset;
  readonly model: Model;
  readonly parameterCount: number;
  readonly optimizer: Optimizer;
  /** The moving average of the student, where the method wants one. */
  readonly ema: EmaTeacher | null;
  /** Logits on the whole test set, `[testSize, classes]`; `null` when `signal` stopped it. */
  predictTestSet(signal: AbortSignal, afterBatch: () => void): Promise<Float32Array | null>;
  dispose(): void;
}

/**
 * Loads the data and makes the model, its optimiser and its teacher.
 *
 * @throws {UsageError} for an unknown model or dataset, {@link DataError} for missing or damaged files
 */
export async function createStudent(options: StudentOptions): Promise<Student> {
  const { name, settings } = options;
  const factory = await findModel(options.model);
  const dataset = await loadDataset({ ...settings.data, ...options, seed: settings.seed });
  const seed = deriveKey(settings.seed, 'weights', name);
  const modelOptions = { inputShape: dataset.imageShape, classes: dataset.classNames.length, seed };
  const model = factory(modelOptions);
  const optimizer = createSgd(model.parameters, settings.training.optimizer);
  const ema =
    getMethod(settings.distill.method).teachers === 'ema'
      ? createEmaTeacher(model, factory(modelOptions), settings.distill.emaDecay)
      : null;
  return {
    name,
    dataset,
    model,
    parameterCount: [...model.parameters.values()].reduce((sum, { size }) => sum + size, 0),
    optimizer,
    ema,
    async predictTestSet(signal, afterBatch) {
      const stopped = new Error('stopped');
      try {
        return await predictTestSet(model, dataset, async () => {
          afterBatch();
          await eventLoopTurn();
          if (signal.aborted) throw stopped;
        });
      } catch (error) {
        if (error === stopped) return null;
        throw error;
      }
    },
    dispose() {
      optimizer.dispose();
      ema?.dispose();
      model.dispose();
    },
  };
}
