import { createRandom } from '../../src/random.ts';
import type { Lie } from './localRun.ts';

/** What peers can send that is no honest prediction, made of honest ones of ten classes. */
export type LieName = 'constant' | 'replayed' | 'one-hot' | 'one-hot at random' | 'permuted';

/** The lies, each with a memory of its own. */
export const LIES: Readonly<Record<LieName, () => Lie>> = {
  /** Its first row, for every sample. */
  constant: () => {
    let first: Float32Array | null = null;
    return (logits) => {
      first ??= logits.slice(0, 10);
      const row = first;
      return logits.map((_, i) => row[i % 10]!);
    };
  },
  /** What it said of its first batch, of all that follow. */
  replayed: () => {
    let first: Float32Array | null = null;
    return (logits) => {
      first ??= logits.slice();
      return first;
    };
  },
  'one-hot': () => (logits) =>
    logits.map((_, i) => {
      const row = rowAround(logits, i);
      return row.indexOf(Math.max(...row)) === i % 10 ? 1000 : 0;
    }),
  /** Certain of a class that has nothing to do with the sample. */
  'one-hot at random': () => (logits, step) => {
    const random = createRandom('certain', step);
    const said = Array.from({ length: logits.length / 10 }, () => random.below(10));
    return logits.map((_, i) => (said[Math.floor(i / 10)] === i % 10 ? 1000 : 0));
  },
  /** The next class instead of each. */
  permuted: () => (logits) => logits.map((_, i) => rowAround(logits, i)[(i + 9) % 10]!),
};

function rowAround(logits: Float32Array, i: number): Float32Array {
  const start = i - (i % 10);
  return logits.subarray(start, start + 10);
}
