import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Duplex } from 'node:stream';
import type { Gate, Verdict } from './gate.ts';
import type { ServerTls } from './tls.ts';

/** On every answer. The pages are data: no browser is to make anything else of them, or show them within another page. */
const HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
};
const TLS_HEADERS = { ...HEADERS, 'strict-transport-security': 'max-age=31536000' };

/** Time for the TLS handshake, and for the head of a request, in milliseconds. */
const HANDSHAKE_MS = 10_000;
const limits = { headersTimeout: HANDSHAKE_MS, requestTimeout: HANDSHAKE_MS, maxHeaderSize: 8_192 };

/** An HTTP or HTTPS server that lets `gate` decide about every request before `answer` gets it. */
export function createWebServer(gate: Gate, tls: ServerTls | null, answer: RequestListener): Server {
  const headers = tls ? TLS_HEADERS : HEADERS;
  const guarded: RequestListener = (request, response) => {
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    const verdict = gate.page(request);
    if (verdict.admitted) answer(request, response);
    else response.writeHead(verdict.status, extraHeaders(verdict.status)).end(bodyOf(verdict.reason));
  };
  return tls
    ? createTlsServer({ ...limits, ...tls, handshakeTimeout: HANDSHAKE_MS }, guarded)
    : createServer(limits, guarded);
}

/** Answers an upgrade that is not to become a WebSocket, and ends its connection. */
export function refuseUpgrade(socket: Duplex, verdict: Extract<Verdict, { admitted: false }>): void {
  const body = bodyOf(verdict.reason);
  const headers = {
    ...HEADERS,
    ...extraHeaders(verdict.status),
    'content-length': String(Buffer.byteLength(body)),
    connection: 'close',
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  socket.on('error', () => {});
  socket.once('finish', () => socket.destroy());
  socket.end([`HTTP/1.1 ${verdict.status} Refused`, ...lines, '', body].join('\r\n'));
}

function bodyOf(reason: string): string {
  return JSON.stringify({ error: reason });
}

function extraHeaders(status: number): Record<string, string> {
  return {
    'content-type': 'application/json',
    'cache-control': 'no-store',
    ...(status === 401 && { 'www-authenticate': 'Bearer' }),
    ...((status === 429 || status === 503) && { 'retry-after': '1' }),
  };
}
