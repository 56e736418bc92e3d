import { UsageError } from '../errors.ts';
import { createRandom } from '../random.ts';
import type { ImageSet } from './types.ts';

/**
 * Symmetric label noise: exactly `round(noise * count)` samples, chosen by `seed`, get a label drawn uniformly from the
 * other classes, so all of these are wrong. Pixels are shared with `set`.
 *
 * @param noise share of wrong labels, 0-1
 * @throws {UsageError} when `noise` is not in that range
 */
export function addLabelNoise(set: ImageSet, noise: number, classes: number, seed: number): ImageSet {
  if (!(noise >= 0 && noise <= 1)) {
    throw new UsageError(`labelNoise: expected a share from 0 to 1, got ${noise}.`);
  }
  const random = createRandom(seed, 'label-noise');
  const labels = set.labels.slice();
  let remaining = Math.round(noise * set.count);
  // Selection sampling (Knuth, TAOCP 2, algorithm S): one pass, each choice of `remaining` samples equally likely.
  for (let i = 0; i < set.count && remaining > 0; i++) {
    if (random.below(set.count - i) >= remaining) continue;
    remaining--;
    const other = random.below(classes - 1);
    labels[i] = other < labels[i]! ? other : other + 1;
  }
  return { ...set, labels };
}
