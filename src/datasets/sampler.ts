import { UsageError } from '../errors.ts';
import { deriveKey, keyedHash } from '../random.ts';

/** Four would do for large sets; with fewer than twelve, sets of a few samples are visibly not uniformly shuffled. */
const ROUNDS = 12;

/**
 * Steps in one pass over the training set. The last, partial batch is dropped.
 *
 * @throws {UsageError} when not even one batch fits, or a number is no positive integer
 */
export function stepsPerEpoch(count: number, batchSize: number): number {
  if (!Number.isInteger(batchSize) || batchSize < 1 || batchSize > count) {
    throw new UsageError(
      `batchSize: expected an integer from 1 to ${count} (the number of training samples), got ${batchSize}.`,
    );
  }
  return Math.floor(count / batchSize);
}

export interface BatchAddress {
  readonly seed: number;
  /** Steps since the start of training, over all epochs; the first is 0. */
  readonly step: number;
  readonly batchSize: number;
  /** Samples in the training set, below 2^30. */
  readonly count: number;
}

/**
 * The sample ids of one step, `[batchSize]`, each in `[0, count)`. Every epoch visits the samples in a new order, none
 * twice. Any step is computed directly, in memory independent of `count`.
 *
 * @throws {UsageError} as {@link stepsPerEpoch}
 */
export function batchIds({ seed, step, batchSize, count }: BatchAddress): Uint32Array {
  const steps = stepsPerEpoch(count, batchSize);
  const epoch = Math.floor(step / steps);
  const first = (step % steps) * batchSize;
  const keys = Uint32Array.from({ length: ROUNDS }, (_, round) => deriveKey(seed, 'order', epoch, round));
  const halfBits = Math.max(1, Math.ceil((32 - Math.clz32(count - 1)) / 2));
  const ids = new Uint32Array(batchSize);
  for (let i = 0; i < batchSize; i++) {
    // Cycle walking: permuting until the result is a sample again is a permutation of the samples.
    let id = permute(first + i, halfBits, keys);
    while (id >= count) id = permute(id, halfBits, keys);
    ids[i] = id;
  }
  return ids;
}

/** A permutation of `[0, 4^halfBits)`: a balanced Feistel network with one key for each round. */
function permute(index: number, halfBits: number, keys: Uint32Array): number {
  const mask = (1 << halfBits) - 1;
  let left = index >>> halfBits;
  let right = index & mask;
  for (let round = 0; round < keys.length; round++) {
    const next = left ^ (keyedHash(keys[round]!, right) & mask);
    left = right;
    right = next;
  }
  return ((left << halfBits) | right) >>> 0;
}
