import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { Server as HttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { CodistillError, ExitCode, messageOf } from '../src/errors.ts';
import type { RunStatus } from '../src/results/types.ts';
import type { Gate } from './gate.ts';
import type { ServerTls } from './tls.ts';
import { createWebServer } from './web.ts';

/** What the pages tell. */
export interface PageSource {
  status(): RunStatus;
  /** The metrics as Prometheus reads them, with the type of that text. */
  metrics(): Promise<{ readonly type: string; readonly text: string }>;
  /** Why the run neither takes peers nor trains; `null` while it does one of them. */
  whyNotReady(): string | null;
}

/** The pages beside the WebSocket: how the run goes, and whether the program is alive. */
export function createPages(gate: Gate, tls: ServerTls | null, source: PageSource): Server {
  return createWebServer(gate, tls, (request, response) => {
    respond(request, response, source).catch((error: unknown) => {
      if (!response.headersSent) response.writeHead(500, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ error: messageOf(error) }));
    });
  });
}

async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  source: PageSource,
): Promise<void> {
  const send = (code: number, body: string, type = 'application/json'): void => {
    response.writeHead(code, { 'content-type': type, 'cache-control': 'no-store' });
    response.end(body);
  };
  // Not `URL`: it throws for some of what strangers ask for.
  const [pathname] = request.url!.split('?');
  if (request.method !== 'GET') send(405, JSON.stringify({ error: 'expected GET' }));
  else if (pathname === '/status.json') send(200, JSON.stringify(source.status()));
  else if (pathname === '/healthz') send(200, JSON.stringify({ ok: true }));
  else if (pathname === '/readyz') {
    const reason = source.whyNotReady();
    send(reason === null ? 200 : 503, JSON.stringify({ ready: reason === null, reason }));
  } else if (pathname === '/metrics') {
    const { text, type } = await source.metrics();
    send(200, text, type);
  } else {
    const error = 'expected /status.json, /metrics, /healthz, /readyz, or a WebSocket at /ws';
    send(404, JSON.stringify({ error }));
  }
}

/**
 * @param port 0 takes a free one
 * @returns the address, such as `http://127.0.0.1:7070`
 * @throws {CodistillError} when the address is taken or not this machine's
 */
export async function listen(http: Server, host: string, port: number): Promise<string> {
  try {
    await new Promise<void>((resolve, reject) => {
      http.once('error', reject);
      http.listen(port, host, resolve);
    });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why =
      code === 'EADDRINUSE'
        ? 'another program listens there; choose another --port, or 0 for a free one'
        : message;
    throw new CodistillError(`Could not listen on ${host}:${port}: ${why}.`, ExitCode.listen, {
      cause: error,
    });
  }
  const bound = http.address() as AddressInfo;
  const scheme = http instanceof HttpsServer ? 'https' : 'http';
  return `${scheme}://${bound.family === 'IPv6' ? `[${bound.address}]` : bound.address}:${bound.port}`;
}
