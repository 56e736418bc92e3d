import { deriveKey, keyedHash } from '../random.ts';

/** The samples of each class, for drawing others of the same one. */
export interface ClassIndex {
  /** Sample ids, class by class, each class in ascending order. */
  readonly members: Uint32Array;
  /** Where each class starts in `members`, and at last where it ends: `[classes + 1]`. */
  readonly starts: Uint32Array;
  /** Where each sample stands in `members`, by its id. */
  readonly places: Uint32Array;
  /** Class of each sample, by its id. */
  readonly labels: Uint16Array;
}

/** @param labels class of each sample, by its id */
export function classIndex(labels: Uint16Array): ClassIndex {
  const classes = labels.reduce((most, label) => Math.max(most, label + 1), 0);
  const starts = new Uint32Array(classes + 1);
  for (const label of labels) starts[label + 1]!++;
  for (let label = 0; label < classes; label++) starts[label + 1]! += starts[label]!;
  const next = starts.slice();
  const places = Uint32Array.from(labels, (label) => next[label]!++);
  const members = new Uint32Array(labels.length);
  for (const [id, place] of places.entries()) members[place] = id;
  return { members, starts, places, labels };
}

/**
 * For each sample another one of its class, all the others equally likely; itself where it is the only one. A sample's
 * partner depends on the seed, the step and its id alone.
 *
 * @throws {RangeError} for an id that is not in the index
 */
export function classPairs(ids: Uint32Array, index: ClassIndex, seed: number, step: number): Uint32Array {
  const key = deriveKey(seed, 'class-pair', step);
  return ids.map((id) => {
    if (id >= index.labels.length) throw new RangeError(`sample ${id} of ${index.labels.length}`);
    const label = index.labels[id]!;
    const start = index.starts[label]!;
    const size = index.starts[label + 1]! - start;
    if (size === 1) return id;
    const away = 1 + (keyedHash(key, id) % (size - 1));
    return index.members[start + ((index.places[id]! - start + away) % size)]!;
  });
}
