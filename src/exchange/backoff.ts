const BASE_MS = 250;
const CAP_MS = 8_000;

/**
 * How long to wait before the next attempt to connect: full jitter over an exponentially growing range, so that many
 * peers that lost one coordinator do not return at the same moment.
 *
 * @param attempt failed attempts so far, from 0
 * @param random uniform in [0, 1)
 * @returns milliseconds, below min(8 s, 0.25 s · 2^attempt)
 */
export function backoffMs(attempt: number, random: number): number {
  return random * Math.min(CAP_MS, BASE_MS * 2 ** attempt);
}
