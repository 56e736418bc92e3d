import { CodistillError, ExitCode, UsageError } from '../src/errors.ts';
import { type KeyPair, MIN_TLS_VERSION, readAuthorities, readKeyPair } from '../src/tls.ts';

/** How a peer speaks TLS: options of Node's `tls.connect`. */
export interface ClientTls extends Partial<KeyPair> {
  readonly minVersion: typeof MIN_TLS_VERSION;
  /** Authorities that the coordinator's certificate must be from; absent: those that Node.js trusts. */
  readonly ca?: Buffer;
  /** Whatever the environment says. */
  readonly rejectUnauthorized: true;
}

/** The files that the flags name. */
export interface ClientTlsFiles {
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
}

/** @throws {UsageError} for flags or files that do not go together, or with an address that is not encrypted */
export function readClientTls(url: string, { tlsCa, tlsCert, tlsKey }: ClientTlsFiles): ClientTls {
  const given = [tlsCa, tlsCert, tlsKey].some((file) => file !== undefined);
  if (given && !url.startsWith('wss:')) {
    throw new UsageError(`--tls-ca, --tls-cert, --tls-key: expected a wss:// address with them, got ${url}.`);
  }
  return {
    ...readKeyPair(tlsCert, tlsKey),
    ...(tlsCa !== undefined && { ca: readAuthorities('--tls-ca', tlsCa) }),
    minVersion: MIN_TLS_VERSION,
    rejectUnauthorized: true,
  };
}

const UNKNOWN_AUTHORITY =
  'its certificate is from an authority that is not known here; give its certificate by --tls-ca';

/** Of a certificate, by the `code` of Node's error. */
const REASONS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'its certificate has expired; renew it there',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet; compare the clocks of both machines',
  CERT_REVOKED: 'its certificate was revoked; renew it there',
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_AUTHORITY,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_AUTHORITY,
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is signed by itself; give a copy of it by --tls-ca',
};

/** Of the handshake, by what OpenSSL says: Node.js gives some of these errors a code of their own, and others not. */
const FAILURES: readonly (readonly [RegExp, string])[] = [
  [
    /alert certificate required/i,
    'it wants a certificate of this peer; give one by --tls-cert and --tls-key',
  ],
  [
    /wrong version number|packet length too long/i,
    'it does not speak TLS; take a ws:// address, or start it with --tls-cert and --tls-key',
  ],
  [/alert protocol version|unsupported protocol/i, 'it speaks no TLS that is as new as 1.2'],
];

/**
 * What an error of a connection means and what to do about it: a {@link CodistillError} where another attempt can only
 * end in the same way.
 *
 * @param secure whether the address is a wss:// one
 */
export function explainFailure(error: Error, secure: boolean): Error {
  const { code = '', message } = error as NodeJS.ErrnoException;
  const reason =
    code === 'ERR_TLS_CERT_ALTNAME_INVALID'
      ? `${message}; use an address that the certificate names`
      : (REASONS[code] ?? FAILURES.find(([pattern]) => pattern.test(message))?.[1]);
  if (secure && reason) {
    const text = `No TLS connection to the coordinator: ${reason}.`;
    return new CodistillError(text, ExitCode.unreachable, { cause: error });
  }
  if (code !== 'ECONNRESET') return error;
  const hint = secure
    ? 'it asks for certificates of peers, give --tls-cert and --tls-key of one that it trusts'
    : 'it speaks TLS, take a wss:// address';
  return new Error(`the coordinator cut the connection (${message}); if ${hint}`, { cause: error });
}
