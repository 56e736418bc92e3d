import { DataError } from '../errors.ts';
import { lookUp } from '../names.ts';
import { balancedSubset } from './balancedSubset.ts';
import { type DatasetDefinition, remedyFor } from './definition.ts';
import { datasetDigest } from './digest.ts';
import { fetchDataset } from './fetchDataset.ts';
import { addLabelNoise } from './labelNoise.ts';
import { cacheFolder, type Location, locate, locateEmbedded } from './locate.ts';
import { readDataFile } from './readDataFile.ts';
import { datasets } from './registry.ts';
import type { Dataset } from './types.ts';

export interface LoadOptions {
  /** A name in the registry, such as `cifar-10`. */
  readonly dataset: string;
  /** The only folder to look in for the files; nothing is downloaded then. */
  readonly dataDir?: string;
  /** Download the full dataset when it is not on this machine. */
  readonly download?: boolean;
  /** How many samples to keep of each split, in equal shares of the classes; all by default. */
  readonly trainSize?: number;
  readonly testSize?: number;
  /** Share of the training labels to make wrong, 0-1; 0 by default. */
  readonly labelNoise?: number;
  /** Decides which labels become wrong, and what they become. */
  readonly seed: number;
}

/** Where to read from: a full dataset on this machine, else a download if asked for, else the embedded subset. */
async function findOrFetch(
  name: string,
  definition: DatasetDefinition,
  options: LoadOptions,
): Promise<Location> {
  let location = locate(name, definition, options.dataDir);
  if (location === undefined && options.download) {
    await fetchDataset(definition, cacheFolder(name));
    location = locate(name, definition);
  }
  location ??= locateEmbedded(definition);
  if (location) return location;
  throw new DataError(`${name} is not on this machine. ${remedyFor(definition)}`);
}

/**
 * Loads a dataset. Which files are found decides which samples these are: compare `digest` between machines, and tell
 * people `source`.
 *
 * @throws {UsageError} for an unknown dataset, or a size or noise out of range
 * @throws {DataError} when files are missing, damaged or cannot be downloaded
 */
export async function loadDataset(options: LoadOptions): Promise<Dataset> {
  const name = options.dataset;
  const definition = lookUp('dataset', datasets, name);
  const { imageShape, classNames, mean, std } = definition;
  const classes = classNames.length;
  const { paths, source } = await findOrFetch(name, definition, options);
  const remedy = remedyFor(definition);
  let { train, test } = definition.parse(await Promise.all(paths.map((path) => readDataFile(path, remedy))));
  if (options.trainSize !== undefined) {
    train = balancedSubset(train, options.trainSize, classes, 'trainSize');
  }
  if (options.testSize !== undefined) test = balancedSubset(test, options.testSize, classes, 'testSize');
  train = addLabelNoise(train, options.labelNoise ?? 0, classes, options.seed);
  const digest = datasetDigest(imageShape, classes, train, test);
  return { name, imageShape, classNames, mean, std, train, test, source, digest };
}
