import { resolve } from 'node:path';
import { setImmediate as eventLoopTurn } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import type { RunSettings } from '../src/config/schema.ts';
import { createBatcher } from '../src/datasets/batch.ts';
import { loadDataset } from '../src/datasets/load.ts';
import type { Dataset } from '../src/datasets/types.ts';
import { messageOf, UsageError } from '../src/errors.ts';
import { modelFactory } from '../src/models/index.ts';
import type { Model, ModelFactory } from '../src/models/types.ts';
import { modelFromModule } from '../src/models/userModel.ts';
import { deriveKey } from '../src/random.ts';
import { createEmaTeacher, type EmaTeacher } from '../src/training/emaTeacher.ts';
import { predict } from '../src/training/evaluate.ts';
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
    settings.distill.method === 'self-ema'
      ? createEmaTeacher(model, factory(modelOptions), settings.distill.emaDecay)
      : null;
  const { imageShape, mean, std, test } = dataset;
  const batcher = createBatcher({ set: test, imageShape, mean, std, augment: 'none' });
  const range = (from: number, to: number): Uint32Array =>
    Uint32Array.from({ length: to - from }, (_, i) => from + i);
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
        return await predict(
          model,
          test.count,
          (from, to) => batcher.gather(range(from, to)).images,
          async () => {
            afterBatch();
            await eventLoopTurn();
            if (signal.aborted) throw stopped;
          },
        );
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

/** A model of the registry, or of the user's own module when the name is a path. */
async function findModel(name: string): Promise<ModelFactory> {
  if (!/[\\/]|\.[cm]?js$/.test(name)) return modelFactory(name);
  const path = resolve(name);
  let module: unknown;
  try {
    module = await import(pathToFileURL(path).href);
  } catch (error) {
    throw new UsageError(`Could not load the model module ${path}: ${messageOf(error)}`, { cause: error });
  }
  return modelFromModule(module, path);
}
