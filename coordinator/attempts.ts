import { isIPv4 } from 'node:net';

/** Failed attempts of one address in a row that are looked at. */
export const BURST = 10;
/** After those, one more in this time. */
export const REFILL_MS = 1_000;
/** Addresses that are remembered; the one that failed longest ago is forgotten first. */
export const MAX_ADDRESSES = 4_096;

/** How many more failures of each address are worth a look: a token bucket each. */
export type Attempts = Map<string, { readonly left: number; readonly atMs: number }>;

/** Whether an address may try again; if not, no work is to go into what it wants for now. */
export function mayTry(attempts: Attempts, remote: string | undefined, nowMs: number): boolean {
  return leftOf(attempts, addressOf(remote), nowMs) >= 1;
}

/** @returns whether the address could still afford this failure */
export function countFailure(attempts: Attempts, remote: string | undefined, nowMs: number): boolean {
  const address = addressOf(remote);
  const left = leftOf(attempts, address, nowMs);
  if (left < 1) return false;
  // Taken out first, so that the map stays in the order of the last failure.
  attempts.delete(address);
  attempts.set(address, { left: left - 1, atMs: nowMs });
  if (attempts.size > MAX_ADDRESSES) attempts.delete(attempts.keys().next().value!);
  return true;
}

function leftOf(attempts: Attempts, address: string, nowMs: number): number {
  const known = attempts.get(address);
  return known ? Math.min(BURST, known.left + (nowMs - known.atMs) / REFILL_MS) : BURST;
}

/** Whose attempts count together: an IPv4 address, or the 64 bits of an IPv6 network, in which anybody has many. */
export function addressOf(remote: string | undefined): string {
  if (remote === undefined) return '';
  const mapped = remote.replace(/^::ffff:/i, '');
  if (isIPv4(mapped)) return mapped;
  const [head = '', tail] = remote.split('%')[0]!.split('::');
  const groups = head === '' ? [] : head.split(':');
  const last = tail ? tail.split(':') : [];
  const zeros = tail === undefined ? 0 : 8 - groups.length - last.length;
  return `${[...groups, ...Array<string>(zeros).fill('0'), ...last].slice(0, 4).join(':')}::/64`;
}
