import type { TLSSocket } from 'node:tls';
import { UsageError } from '../src/errors.ts';
import { type KeyPair, MIN_TLS_VERSION, readAuthorities, readKeyPair } from '../src/tls.ts';

/** How the coordinator speaks TLS: options of Node's `https` server. */
export interface ServerTls extends KeyPair {
  readonly minVersion: typeof MIN_TLS_VERSION;
  /** Authorities whose certificates peers must have; absent: peers need none. */
  readonly ca?: Buffer;
  readonly requestCert: boolean;
  readonly rejectUnauthorized: boolean;
}

/** The files that the flags name. */
export interface ServerTlsFiles {
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsClientCa?: string;
}

/**
 * @returns `null` when the coordinator is to speak plain HTTP
 * @throws {UsageError} for flags or files that do not go together
 */
export function readServerTls({ tlsCert, tlsKey, tlsClientCa }: ServerTlsFiles): ServerTls | null {
  const pair = readKeyPair(tlsCert, tlsKey);
  if (pair === null) {
    if (tlsClientCa === undefined) return null;
    throw new UsageError('--tls-client-ca: expected --tls-cert and --tls-key with it.');
  }
  const mutual = tlsClientCa !== undefined;
  return {
    ...pair,
    minVersion: MIN_TLS_VERSION,
    ...(mutual && { ca: readAuthorities('--tls-client-ca', tlsClientCa) }),
    requestCert: mutual,
    rejectUnauthorized: mutual,
  };
}

/** Why a TLS connection failed, for the log: of a peer whose certificate was refused, what was wrong with it. */
export function tlsFailure(error: Error, socket: TLSSocket): string {
  const reason: unknown = socket.authorizationError;
  return reason ? `certificate of the client: ${reason}` : error.message;
}
