import { setImmediate as eventLoopTurn } from 'node:timers/promises';
import type { RunSettings } from '../src/config/schema.ts';
import { loadDataset } from '../src/datasets/load.ts';
import type { Dataset } from '../src/datasets/types.ts';
import type { FeatureShapes } from '../src/distill/types.ts';
import { DataError, messageOf } from '../src/errors.ts';
import { findModel } from '../src/findModel.ts';
import { featureShapes } from '../src/models/featureShapes.ts';
import type { Model } from '../src/models/types.ts';
import { deriveKey } from '../src/random.ts';
import { findWeights } from '../src/results/weightFiles.ts';
import { predictTestSet } from '../src/training/evaluate.ts';
import { assignWeights } from '../src/training/modelWeights.ts';

export interface NetworkOptions {
  readonly name: string;
  /** A model's name, or the path of a module that exports one. */
  readonly model: string;
  readonly settings: RunSettings;
  readonly dataDir?: string;
  readonly download: boolean;
}

/** A peer's network and its data, before anything is known of the others. */
export interface Network {
  readonly name: string;
  readonly dataset: Dataset;
  readonly model: Model;
  /** The model's features, see `featureShapes`. */
  readonly layers: FeatureShapes;
  readonly parameterCount: number;
  /** Key of the random numbers of this peer's weights. */
  readonly seed: number;
  /** Another one for the same data: of the same architecture, with its initial weights, or of another one. */
  another(model?: string): Promise<Model>;
  /** Logits on the whole test set, `[testSize, classes]`; `null` when `signal` stopped it. */
  predictTestSet(signal: AbortSignal, afterBatch: () => void): Promise<Float32Array | null>;
  dispose(): void;
}

/**
 * Loads the data and makes the model.
 *
 * @throws {UsageError} for an unknown model or dataset, {@link DataError} for missing or damaged files
 */
export async function loadNetwork(options: NetworkOptions): Promise<Network> {
  const { name, settings } = options;
  const factory = await findModel(options.model);
  const dataset = await loadDataset({ ...settings.data, ...options, seed: settings.seed });
  const seed = deriveKey(settings.seed, 'weights', name);
  const modelOptions = { inputShape: dataset.imageShape, classes: dataset.classNames.length, seed };
  const model = factory(modelOptions);
  return {
    name,
    dataset,
    model,
    layers: featureShapes(model),
    parameterCount: [...model.parameters.values()].reduce((sum, { size }) => sum + size, 0),
    seed,
    another: async (other = options.model) => (await findModel(other))(modelOptions),
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
    dispose: () => model.dispose(),
  };
}

/**
 * Gives a network the weights of a file, or of the peer of a run folder that has its model.
 *
 * @param modelName as the user wrote it: a name, or a path
 * @throws {DataError} when there are none, or they are not those of this network
 */
export async function assignFrom(
  path: string,
  { model }: Pick<Network, 'model'>,
  modelName: string,
): Promise<void> {
  const { classes, inputShape } = model;
  const { tensors } = await findWeights(path, { model: modelName, classes, inputShape });
  try {
    assignWeights(model, tensors);
  } catch (error) {
    throw new DataError(`${path}: ${messageOf(error)}`, { cause: error });
  }
}
