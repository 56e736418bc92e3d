import { createRandom } from '../random.ts';

export interface NegativesSetup {
  /** Class of each sample of the training set. */
  readonly trainLabels: Uint16Array;
  /** Samples of the batch. */
  readonly ids: Uint32Array;
  /** How many for each sample of the batch; at most {@link mostNegatives}. */
  readonly count: number;
  readonly seed: number;
  readonly step: number;
}

/** How many samples of other classes every sample has, whichever its class is. */
export function mostNegatives(trainLabels: Uint16Array): number {
  const sizes = new Map<number, number>();
  for (const label of trainLabels) sizes.set(label, (sizes.get(label) ?? 0) + 1);
  return trainLabels.length - Math.max(...sizes.values());
}

/**
 * Draws samples of other classes for each sample of a batch, none twice: 1 where a sample is drawn, and 0 otherwise,
 * `[training set, batch]`.
 *
 * The training set is shuffled once a step, and each sample of the batch takes the first ones of other classes from a place
 * of its own on. So every draw is uniform without replacement; those of one batch depend on each other.
 */
export function drawNegatives({ trainLabels, ids, count, seed, step }: NegativesSetup): Float32Array {
  const size = trainLabels.length;
  const random = createRandom(seed, 'negatives', step);
  const order = Uint32Array.from(trainLabels.keys());
  for (let i = size - 1; i > 0; i--) {
    const other = random.below(i + 1);
    const moved = order[i]!;
    order[i] = order[other]!;
    order[other] = moved;
  }
  const batch = ids.length;
  const drawn = new Float32Array(size * batch);
  for (const [row, id] of ids.entries()) {
    const label = trainLabels[id]!;
    let at = random.below(size);
    for (let left = count; left > 0; at = at + 1 === size ? 0 : at + 1) {
      const candidate = order[at]!;
      if (trainLabels[candidate] === label) continue;
      drawn[candidate * batch + row] = 1;
      left--;
    }
  }
  return drawn;
}
