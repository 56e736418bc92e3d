/**
 * Seeded randomness. Every random decision that can reach a weight comes from here, addressed by what it is for
 * (`createRandom(seed, 'augment', step)`), so that any step can be reproduced without replaying the ones before it.
 */

/** Mixes two 32-bit words into one: the finaliser of MurmurHash3 (Appleby, public domain) over their combination. */
function mix(state: number, word: number): number {
  let h = Math.imul(state ^ word, 0x9e3779b1);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/**
 * A 32-bit key for a stream of random numbers.
 *
 * @param path what the numbers are for, such as `(seed, 'augment', step, 'peer-1')`; strings and integers
 */
export function deriveKey(...path: readonly (number | string)[]): number {
  let key = 0x243f6a88;
  for (const part of path) {
    if (typeof part === 'number') {
      key = mix(mix(key, part >>> 0), Math.floor(part / 2 ** 32) >>> 0);
    } else {
      for (let i = 0; i < part.length; i++) key = mix(key, part.charCodeAt(i));
      key = mix(key, 0x80000000 | part.length);
    }
  }
  return key;
}

export interface Random {
  /** The next integer, uniform in [0, 2^32). */
  uint32(): number;
  /** The next number, uniform in [0, 1). */
  uniform(): number;
  /** The next integer, uniform in [0, bound). */
  below(bound: number): number;
  /** The next number of the standard normal distribution (Box-Muller). */
  normal(): number;
}

/**
 * A stream of random numbers for one purpose: sfc32 (Doty-Humphrey, PractRand), started from the derived key.
 *
 * @param path as for {@link deriveKey}
 */
export function createRandom(...path: readonly (number | string)[]): Random {
  const key = deriveKey(...path);
  let a = mix(key, 1);
  let b = mix(key, 2);
  let c = mix(key, 3);
  let counter = 1;
  const uint32 = (): number => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    return sum >>> 0;
  };
  for (let i = 0; i < 12; i++) uint32();
  const uniform = (): number => uint32() / 2 ** 32;
  return {
    uint32,
    uniform,
    below: (bound) => Math.floor(uniform() * bound),
    normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
  };
}

/** The keyed mixing function itself, for permutations: uniform 32-bit words addressed by `(key, word)`. */
export const keyedHash = mix;
