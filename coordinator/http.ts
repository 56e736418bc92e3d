import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { Server as HttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { CodistillError, ExitCode } from '../src/errors.ts';
import type { RunStatus } from '../src/results/types.ts';
import type { Gate } from './gate.ts';
import type { ServerTls } from './tls.ts';
import { createWebServer } from './web.ts';

/** The pages beside the WebSocket: how the run goes, and whether the program is alive. */
export function createPages(gate: Gate, tls: ServerTls | null, status: () => RunStatus): Server {
  return createWebServer(gate, tls, (request, response) => respond(request, response, status));
}

function respond(request: IncomingMessage, response: ServerResponse, status: () => RunStatus): void {
  const send = (code: number, body: unknown): void => {
    response.writeHead(code, { 'content-type': 'application/json', 'cache-control': 'no-store' });
    response.end(JSON.stringify(body));
  };
  // Not `URL`: it throws for some of what strangers ask for.
  const [pathname] = request.url!.split('?');
  if (request.method !== 'GET') send(405, { error: 'expected GET' });
  else if (pathname === '/status.json') send(200, status());
  else if (pathname === '/healthz') send(200, { ok: true });
  else send(404, { error: 'expected /status.json, /healthz, or a WebSocket at /ws' });
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
