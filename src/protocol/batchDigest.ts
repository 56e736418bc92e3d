// The FNV prime is 2^40 + 435; the offset basis is the hash of nothing.
const PRIME_LOW = 435;
const BASIS_HIGH = 0xcbf29ce4;
const BASIS_LOW = 0x84222325;

/** The length of a batch digest. */
export const BATCH_DIGEST_BYTES = 8;

/**
 * A digest of which samples, in which order, a batch is made of: FNV-1a (64 bits) over the ids as uint32 little-endian.
 * Two ends that sample alike get the same digest. It finds mistakes; it does not withstand an attacker.
 *
 * @returns the 64 bits, little-endian
 */
export function batchDigest(ids: Uint32Array): Uint8Array<ArrayBuffer> {
  let high = BASIS_HIGH;
  let low = BASIS_LOW;
  for (const id of ids) {
    for (let shift = 0; shift < 32; shift += 8) {
      low = (low ^ ((id >>> shift) & 0xff)) >>> 0;
      // (high, low) * (2^40 + 435) modulo 2^64. The product of the low half is below 2^41, exact in float64.
      const carry = Math.floor((low * PRIME_LOW) / 2 ** 32);
      high = (Math.imul(high, PRIME_LOW) + carry + (low << 8)) >>> 0;
      low = Math.imul(low, PRIME_LOW) >>> 0;
    }
  }
  const digest = new Uint8Array(BATCH_DIGEST_BYTES);
  const view = new DataView(digest.buffer);
  view.setUint32(0, low, true);
  view.setUint32(4, high, true);
  return digest;
}
