import { join } from 'node:path';
import { setImmediate as eventLoopTurn } from 'node:timers/promises';
import { loadBackend } from '../backend/select.ts';
import { loadExperiment } from '../config/load.ts';
import type { TrainingOptions } from '../config/trainingOptions.ts';
import { loadDataset } from '../datasets/load.ts';
import type { Dataset } from '../datasets/types.ts';
import { meanOfAll } from '../ensemble/meanProbabilities.ts';
import { findModel } from '../findModel.ts';
import type { Evaluation } from '../results/types.ts';
import { readWeights, weightFiles } from '../results/weightFiles.ts';
import { predictTestSet } from '../training/evaluate.ts';
import { evaluateLogits } from '../training/metrics.ts';
import { assignWeights } from '../training/modelWeights.ts';
import type { SafetensorsContent } from '../training/safetensors.ts';

export interface RunEvaluation {
  readonly peers: readonly { readonly name: string; readonly model: string; readonly test: Evaluation }[];
  /** The mean of the peers' probabilities; null for a single peer. */
  readonly ensemble: Evaluation | null;
  readonly dataset: { readonly name: string; readonly source: string; readonly testSamples: number };
  readonly backend: string;
}

/**
 * Loads the weights of every peer of a run folder and evaluates them on the run's test set.
 *
 * @throws {DataError} when the folder holds no weights, or not those of the model that they name
 */
export async function evaluateRun(folder: string, options: TrainingOptions): Promise<RunEvaluation> {
  const files = await weightFiles(folder);
  const { experiment } = await loadExperiment(join(folder, 'experiment.json'));
  const { name: backend } = await loadBackend(options.backend, options.gpu);
  const dataset = await loadDataset({ ...experiment.data, ...options, seed: experiment.seed });
  const labels = dataset.test.labels;
  const classes = dataset.classNames.length;

  const logits: Float32Array[] = [];
  const peers: RunEvaluation['peers'][number][] = [];
  for (const { name, path } of files) {
    const weights = await readWeights(path);
    const model = weights.metadata.model ?? 'unknown';
    const values = await predictions(model, weights, dataset);
    logits.push(values);
    peers.push({ name, model, test: evaluateLogits(values, labels, classes) });
  }
  return {
    peers,
    ensemble:
      peers.length < 2 ? null : evaluateLogits(meanOfAll(logits, labels.length, classes), labels, classes),
    dataset: { name: dataset.name, source: dataset.source, testSamples: labels.length },
    backend,
  };
}

async function predictions(
  name: string,
  weights: SafetensorsContent,
  dataset: Dataset,
): Promise<Float32Array> {
  const factory = await findModel(name);
  const model = factory({ inputShape: dataset.imageShape, classes: dataset.classNames.length, seed: 0 });
  try {
    assignWeights(model, weights.tensors);
    return await predictTestSet(model, dataset, () => eventLoopTurn());
  } finally {
    model.dispose();
  }
}
