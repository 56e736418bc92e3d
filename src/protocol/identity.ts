import type { CoordinatorMessage, MessageOf, PeerMessage } from './messages.ts';

/** Bytes of an Ed25519 public key (RFC 8032). */
export const PUBLIC_KEY_BYTES = 32;
/** Bytes of an Ed25519 signature. */
export const SIGNATURE_BYTES = 64;
/** Bytes of a challenge: so many that no two are ever equal. */
export const NONCE_BYTES = 32;

/**
 * What a peer signs to prove that it has the private key of `hello.identity`: one text for each connection, about this
 * run and this process, which no other use of the key signs.
 */
export function identityText(
  { name = '', incarnation }: Pick<MessageOf<PeerMessage, 'hello'>, 'name' | 'incarnation'>,
  { run, nonce }: Omit<MessageOf<CoordinatorMessage, 'challenge'>, 'type'>,
): Uint8Array<ArrayBuffer> {
  // No field but the last can hold a newline, so that no two say the same.
  const fields = new TextEncoder().encode(`codistill.v1 identity\n${run}\n${name}\n${incarnation}\n`);
  const text = new Uint8Array(fields.length + nonce.length);
  text.set(fields);
  text.set(nonce, fields.length);
  return text;
}
