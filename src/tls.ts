import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { messageOf, UsageError } from './errors.ts';

/** The oldest version of TLS that either end speaks. */
export const MIN_TLS_VERSION = 'TLSv1.2';

/** A certificate with its private key, as PEM. */
export interface KeyPair {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/**
 * Reads what `--tls-cert` and `--tls-key` name.
 *
 * @returns `null` when neither is given
 * @throws {UsageError} when one is missing, unreadable, does not belong to the other, or is not valid now
 */
export function readKeyPair(certFile: string | undefined, keyFile: string | undefined): KeyPair | null {
  if (certFile === undefined && keyFile === undefined) return null;
  if (certFile === undefined || keyFile === undefined) {
    throw new UsageError('expected --tls-cert and --tls-key together: a certificate and its private key.');
  }
  const [certificate] = readCertificates('--tls-cert', certFile);
  const pair = { cert: readFile('--tls-cert', certFile), key: readFile('--tls-key', keyFile) };
  const now = Date.now();
  const { validFrom, validTo } = certificate!;
  if (now < Date.parse(validFrom) || now > Date.parse(validTo)) {
    throw new UsageError(
      `--tls-cert ${certFile}: expected a certificate that is valid now, got one from ${validFrom} to ${validTo}; renew it.`,
    );
  }
  try {
    createSecureContext(pair);
  } catch (error) {
    throw new UsageError(
      `--tls-key ${keyFile}: expected the private key of ${certFile}, as PEM without a passphrase: ${messageOf(error)}`,
      { cause: error },
    );
  }
  return pair;
}

/**
 * Reads a file of certificates of authorities.
 *
 * @throws {UsageError} when it cannot be read, or holds none
 */
export function readAuthorities(flag: string, file: string): Buffer {
  readCertificates(flag, file);
  return readFile(flag, file);
}

const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

function readCertificates(flag: string, file: string): X509Certificate[] {
  const blocks = readFile(flag, file).toString().match(PEM) ?? [];
  if (blocks.length === 0) throw new UsageError(`${flag} ${file}: expected a certificate as PEM, got none.`);
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch (error) {
    throw new UsageError(`${flag} ${file}: expected certificates as PEM: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function readFile(flag: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new UsageError(`${flag}: ${messageOf(error)}`, { cause: error });
  }
}
