/** The longest time from one ping of a coordinator to the next, in milliseconds. */
const LONGEST_MS = 5_000;
/** The shortest: more often would be noise on the wire. */
const SHORTEST_MS = 50;

/**
 * How often a coordinator pings its peers, in milliseconds: six times within the lease, so that a few lost answers do not
 * cost a peer its place.
 */
export function pingIntervalMs(leaseMs: number): number {
  return Math.max(SHORTEST_MS, Math.min(LONGEST_MS, Math.floor(leaseMs / 6)));
}
