import { describe, expect, it } from 'vitest';
import { batchDigest } from '../../src/protocol/batchDigest.ts';
import { createRandom } from '../../src/random.ts';

/** FNV-1a (64 bits) straight from its definition. */
function fnv1a(bytes: Uint8Array): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return hash;
}

function bytesOf(ids: Uint32Array): Uint8Array {
  const view = new DataView(new ArrayBuffer(ids.length * 4));
  for (const [i, id] of ids.entries()) view.setUint32(i * 4, id, true);
  return new Uint8Array(view.buffer);
}

const numberOf = (digest: Uint8Array) => new DataView(digest.buffer).getBigUint64(0, true);

describe('batchDigest', () => {
  it('computes the published FNV-1a test vectors', () => {
    const ids = (text: string) => new Uint32Array(new TextEncoder().encode(text).buffer);
    expect(numberOf(batchDigest(ids('')))).toBe(0xcbf29ce484222325n);
    expect(numberOf(batchDigest(ids('foob')))).toBe(0xdd120e790c2512afn);
    // The same vectors hold the reference below to the publication.
    expect(fnv1a(new TextEncoder().encode('foobar'))).toBe(0x85944171f73967e8n);
  });

  it('agrees with the definition on random ids', () => {
    const random = createRandom(1, 'ids');
    for (let length = 0; length < 100; length++) {
      const ids = Uint32Array.from({ length }, () => random.uint32());
      expect(numberOf(batchDigest(ids))).toBe(fnv1a(bytesOf(ids)));
    }
  });

  it('is the known answer of the wire specification', () => {
    expect(Buffer.from(batchDigest(Uint32Array.of(0, 1, 2, 65_536))).toString('hex')).toBe(
      '1fa3121c2b90d5d0',
    );
  });

  it('tells other orders and other ids apart', () => {
    const digests = [[1, 2], [2, 1], [1], [1, 2, 0], [1, 3]].map((ids) =>
      String(batchDigest(Uint32Array.from(ids))),
    );
    expect(new Set(digests).size).toBe(digests.length);
  });
});
