import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { messageOf, UsageError } from '../src/errors.ts';

/** The key pair by which a peer is known in a run. */
export interface Identity {
  readonly publicKey: Uint8Array<ArrayBuffer>;
  sign(text: Uint8Array): Uint8Array<ArrayBuffer>;
}

/**
 * Reads an Ed25519 private key, as PEM; makes one, which only this user may read, where there is no file yet.
 *
 * @throws {UsageError} when the file can be neither read nor made, or holds something else
 */
export function openIdentity(path: string): Identity {
  let key: KeyObject;
  try {
    key = createPrivateKey(readOrMake(path));
  } catch (error) {
    throw new UsageError(`--identity-file ${path}: expected a private key as PEM: ${messageOf(error)}`, {
      cause: error,
    });
  }
  if (key.asymmetricKeyType !== 'ed25519') {
    throw new UsageError(
      `--identity-file ${path}: expected an Ed25519 key, got one of type ${key.asymmetricKeyType}.`,
    );
  }
  const { x } = createPublicKey(key).export({ format: 'jwk' });
  return {
    publicKey: new Uint8Array(Buffer.from(x!, 'base64url')),
    sign: (text) => new Uint8Array(sign(null, text, key)),
  };
}

function readOrMake(path: string): string {
  const pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' });
  try {
    // One step, so that of two processes that begin at once with the same file, one makes it and both read it.
    writeFileSync(path, pem, { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  return readFileSync(path, 'utf8');
}
