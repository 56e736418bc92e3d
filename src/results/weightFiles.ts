import { existsSync, statSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DataError, messageOf } from '../errors.ts';
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

/**
 * The weights of a model: those of a file or, where `path` is a run folder, of the one peer in it with that model.
 *
 * @throws {DataError} when there are none, or several
 */
export async function findWeights(path: string, model: string): Promise<SafetensorsContent> {
  if (!existsSync(path))
    throw new DataError(`${path}: expected a file of weights or a run folder, found nothing.`);
  if (!statSync(path).isDirectory()) return readWeights(path);
  const files = await weightFiles(path);
  const all = await Promise.all(
    files.map(async (file) => ({ ...file, weights: await readWeights(file.path) })),
  );
  const fitting = all.filter(({ weights }) => weights.metadata.model === model);
  if (fitting.length === 1) return fitting[0]!.weights;
  const found = all.map(({ name, weights }) => `${name} (${weights.metadata.model})`).join(', ');
  throw new DataError(
    `${path}: expected one peer with the model ${model}, found ${found}. Give the file of one of them.`,
  );
}
