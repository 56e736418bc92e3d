import { existsSync, statSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DataError, messageOf } from '../errors.ts';
import { isModelPath } from '../models/names.ts';
import { decodeSafetensors, type SafetensorsContent } from '../training/safetensors.ts';

export interface WeightFile {
  /** Of the peer that was trained. */
  readonly name: string;
  readonly path: string;
}

/**
 * The weights of each peer of a run folder, in the order of their names.
 *
 * @throws {DataError} when there are none
 */
export async function weightFiles(folder: string): Promise<WeightFile[]> {
  const peers = join(folder, 'peers');
  const names = existsSync(peers) ? (await readdir(peers)).sort() : [];
  const files = names
    .map((name) => ({ name, path: join(peers, name, 'weights.safetensors') }))
    .filter(({ path }) => existsSync(path));
  if (files.length > 0) return files;
  throw new DataError(`${folder}: expected a run folder with peers/<name>/weights.safetensors, found none.`);
}

/** @throws {DataError} when the file is missing or damaged */
export async function readWeights(path: string): Promise<SafetensorsContent> {
  try {
    return decodeSafetensors(await readFile(path));
  } catch (error) {
    throw new DataError(`${path}: ${messageOf(error)}`, { cause: error });
  }
}

/** What a network has to be for weights to fit it. */
export interface Architecture {
  /** A model's name, or the path of a module. */
  readonly model: string;
  readonly classes: number;
  readonly inputShape: readonly number[];
}

/**
 * The weights of a network: those of a file or, where `path` is a run folder, of the one peer in it with that model.
 *
 * @throws {DataError} when there are none, or several, or they are those of another network
 */
export async function findWeights(path: string, wanted: Architecture): Promise<SafetensorsContent> {
  const found = await weightsAt(path, wanted.model);
  expectFitting(path, found, wanted);
  return found;
}

/** What a file says of its network is compared first: the names of tensors would not tell what to change. */
function expectFitting(path: string, { metadata }: SafetensorsContent, wanted: Architecture): void {
  const { model, classes } = wanted;
  // The same module may be written as another path.
  const named = metadata.model !== undefined && !isModelPath(metadata.model) && !isModelPath(model);
  if (named && metadata.model !== model) {
    throw new DataError(
      `${path}: expected weights of the model ${model}, found those of ${metadata.model}. Give other weights, or make ${metadata.model} the teacher's model.`,
    );
  }
  if (metadata.classes !== undefined && metadata.classes !== String(classes)) {
    throw new DataError(
      `${path}: expected weights for ${classes} classes, found those for ${metadata.classes}, trained on ${metadata.dataset ?? 'other data'}. Give other weights, or choose that dataset with data.dataset.`,
    );
  }
  const shape = wanted.inputShape.join('x');
  if (metadata.inputShape !== undefined && metadata.inputShape !== shape) {
    throw new DataError(
      `${path}: expected weights for images of ${shape}, found those for ${metadata.inputShape}, trained on ${metadata.dataset ?? 'other data'}. Give other weights, or choose that dataset with data.dataset.`,
    );
  }
}

async function weightsAt(path: string, model: string): Promise<SafetensorsContent> {
  if (!existsSync(path))
    throw new DataError(
      `${path}: expected a teacher's weights, found nothing. Give a safetensors file or a run folder; without weights, codistill run trains the teacher first.`,
    );
  if (!statSync(path).isDirectory()) return readWeights(path);
  const files = await weightFiles(path);
  const all = await Promise.all(
    files.map(async (file) => ({ ...file, weights: await readWeights(file.path) })),
  );
  const fitting = all.filter(({ weights }) => weights.metadata.model === model);
  if (fitting.length === 1) return fitting[0]!.weights;
  const found = all.map(({ name, weights }) => `${name} (${weights.metadata.model})`).join(', ');
  const advice =
    fitting.length === 0
      ? "Give another folder, or change the teacher's model"
      : 'Give the file of one of them';
  throw new DataError(`${path}: expected one peer with the model ${model}, found ${found}. ${advice}.`);
}
