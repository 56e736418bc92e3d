import { createPublicKey, randomBytes, verify } from 'node:crypto';
import { identityText, NONCE_BYTES } from '../src/protocol/identity.ts';
import type { CoordinatorMessage, MessageOf, PeerMessage } from '../src/protocol/messages.ts';

type Hello = MessageOf<PeerMessage, 'hello'>;
type Challenge = MessageOf<CoordinatorMessage, 'challenge'>;

/** The challenges of the connections whose peers have still to prove that they have the key they named. */
export interface Challenges {
  /** What a peer that says hello with a key is asked, in the place of what it was asked before. */
  ask(connection: number, hello: Hello): Challenge;
  /** The hello of a connection whose proof is right; `null` for a wrong one. Each challenge is good for one answer. */
  settle(connection: number, proof: MessageOf<PeerMessage, 'proof'>): Hello | null;
  /** The connection is gone. */
  forget(connection: number): void;
}

/** @param run its id, which is part of what is signed */
export function createChallenges(run: string): Challenges {
  const open = new Map<number, { readonly hello: Hello; readonly challenge: Challenge }>();
  return {
    ask(connection, hello) {
      const challenge: Challenge = {
        type: 'challenge',
        run,
        nonce: new Uint8Array(randomBytes(NONCE_BYTES)),
      };
      // The bytes of a message are a view of its frame, which is not kept.
      const identity = hello.identity && Uint8Array.from(hello.identity);
      open.set(connection, { hello: { ...hello, identity }, challenge });
      return challenge;
    },
    settle(connection, { signature }) {
      const asked = open.get(connection);
      open.delete(connection);
      if (!asked) return null;
      const { hello, challenge } = asked;
      return isSignedBy(hello.identity!, identityText(hello, challenge), signature) ? hello : null;
    },
    forget: (connection) => void open.delete(connection),
  };
}

/** A key as it is told to people and kept: in base64url, 43 characters. */
export function keyText(publicKey: Uint8Array): string {
  return Buffer.from(publicKey).toString('base64url');
}

function isSignedBy(publicKey: Uint8Array, text: Uint8Array, signature: Uint8Array): boolean {
  const key = createPublicKey({
    key: { kty: 'OKP', crv: 'Ed25519', x: keyText(publicKey) },
    format: 'jwk',
  });
  return verify(null, text, key, signature);
}
