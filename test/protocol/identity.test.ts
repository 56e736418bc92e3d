import { createPublicKey, verify } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { identityText } from '../../src/protocol/identity.ts';
import frames from '../fixtures/wire/valid.json' with { type: 'json' };

const nonce = Uint8Array.from({ length: 32 }, (_, i) => i);

describe('identityText', () => {
  it('is what the golden proof signs, with the key of the golden hello', () => {
    const bytesIn = (name: string, field: string): Buffer => {
      const { meaning } = frames.find((frame) => frame.name === name)!;
      return Buffer.from((meaning as unknown as Record<string, { $bin: string }>)[field]!.$bin, 'hex');
    };
    const x = bytesIn('hello with a key', 'identity').toString('base64url');
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
    const hello = { name: 'peer-1', incarnation: '2f1c8a90-5b7e' };
    const challenge = { run: 'quickstart-20250101', nonce: Uint8Array.from(bytesIn('challenge', 'nonce')) };
    const signature = bytesIn('proof', 'signature');
    expect(verify(null, identityText(hello, challenge), key, signature)).toBe(true);
    for (const other of [
      { ...hello, name: 'peer-2' },
      { ...hello, incarnation: '2f1c8a90-5b7f' },
    ]) {
      expect(verify(null, identityText(other, challenge), key, signature)).toBe(false);
    }
    expect(verify(null, identityText(hello, { ...challenge, run: 'another' }), key, signature)).toBe(false);
    expect(verify(null, identityText(hello, { ...challenge, nonce }), key, signature)).toBe(true);
    expect(
      verify(null, identityText(hello, { ...challenge, nonce: nonce.map((b) => b ^ 1) }), key, signature),
    ).toBe(false);
  });

  it('has an empty line for a name that is left to the coordinator', () => {
    const text = identityText({ incarnation: 'incarnation' }, { run: 'run-1', nonce });
    expect(new TextDecoder().decode(text.slice(0, -32))).toBe(
      'codistill.v1 identity\nrun-1\n\nincarnation\n',
    );
    expect(text.slice(-32)).toEqual(nonce);
  });
});
