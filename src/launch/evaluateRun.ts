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
import { churn, evaluateLogits } from '../training/metrics.ts';
import { assignWeights } from '../training/modelWeights.ts';

export interface RunEvaluation {
  readonly peers: readonly {
    readonly name: string;
    readonly model: string;
    readonly test: Evaluation;
    /** Share of the test images on which it and the peer of its name in another run predict different classes. */
    readonly churn?: number;
  }[];
  /** The mean of the peers' probabilities; null for a single peer. */
  readonly ensemble: Evaluation | null;
  readonly dataset: { readonly name: string; readonly source: string; readonly testSamples: number };
  readonly backend: string;
}

/**
 * Loads the weights of every peer of a run folder and evaluates them on the run's test set.
 *
 * @param other a second folder, whose peers are compared with those of their names on the same test set
 * @throws {DataError} when a folder holds no weights, or not those of the model that they name
 */
export async function evaluateRun(
  folder: string,
  options: TrainingOptions,
  other?: string,
): Promise<RunEvaluation> {
  const files = await weightFiles(folder);
  const otherFiles = other === undefined ? [] : await weightFiles(other);
  const { experiment } = await loadExperiment(join(folder, 'experiment.json'));
  const { name: backend } = await loadBackend(options.backend, options.gpu);
  const dataset = await loadDataset({ ...experiment.data, ...options, seed: experiment.seed });
  const labels = dataset.test.labels;
  const classes = dataset.classNames.length;

  const logits: Float32Array[] = [];
  const peers: RunEvaluation['peers'][number][] = [];
  for (const { name, path } of files) {
    const { model, values } = await predictions(path, dataset);
    logits.push(values);
    const same = otherFiles.find((file) => file.name === name);
    const theirs = same && (await predictions(same.path, dataset)).values;
    const test = evaluateLogits(values, labels, classes);
    peers.push({ name, model, test, ...(theirs && { churn: churn(values, theirs, classes) }) });
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
  path: string,
  dataset: Dataset,
): Promise<{ readonly model: string; readonly values: Float32Array }> {
  const weights = await readWeights(path);
  const name = weights.metadata.model ?? 'unknown';
  const factory = await findModel(name);
  const model = factory({ inputShape: dataset.imageShape, classes: dataset.classNames.length, seed: 0 });
  try {
    assignWeights(model, weights.tensors);
    return { model: name, values: await predictTestSet(model, dataset, () => eventLoopTurn()) };
  } finally {
    model.dispose();
  }
}
