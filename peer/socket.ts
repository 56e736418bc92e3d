import type { IncomingMessage } from 'node:http';
import { WebSocket } from 'ws';
import { SUBPROTOCOL } from '../src/protocol/messages.ts';
import type { Token } from '../src/token.ts';
import { type ClientTls, explainFailure } from './tls.ts';

/** The little that a session needs of a WebSocket. */
export interface Socket {
  send(frame: Uint8Array): void;
  close(code: number, reason: string): void;
  /** Ends the connection without the closing handshake. */
  terminate(): void;
}

export interface SocketEvents {
  opened(): void;
  frame(bytes: Uint8Array): void;
  /** The coordinator's ping: a sign of life. */
  ping(): void;
  /** Always called once, as the last event; `error` when it never opened or broke. */
  closed(code: number, reason: string, error: Error | null): void;
}

/** The largest frame that a coordinator sends is a target; this only stops nonsense. */
const MAX_FRAME_BYTES = 16 * 2 ** 20;
const MAX_REFUSAL_LENGTH = 1_024;

/** What a peer shows, and how it checks who answers. */
export interface Credentials {
  readonly token: Token | null;
  readonly tls: ClientTls;
}

/** Opens a WebSocket to the coordinator with Node's `ws`. */
export function openSocket(url: string, { token, tls }: Credentials, events: SocketEvents): Socket {
  const webSocket = new WebSocket(url, SUBPROTOCOL, {
    perMessageDeflate: false,
    maxPayload: MAX_FRAME_BYTES,
    handshakeTimeout: 10_000,
    ...(token !== null && { headers: { authorization: `Bearer ${token.secret}` } }),
    ...tls,
  });
  let error: Error | null = null;
  webSocket.on('open', () => events.opened());
  webSocket.on('message', (data) => events.frame(data as Buffer));
  webSocket.on('ping', () => events.ping());
  webSocket.on('error', (e) => {
    error ??= explainFailure(e, url.startsWith('wss:'));
  });
  webSocket.on('unexpected-response', (_request, response) => {
    void refusalOf(response).then((refusal) => {
      error = refusal;
      webSocket.terminate();
    });
  });
  webSocket.on('close', (code, reason) => events.closed(code, reason.toString(), error));
  return {
    send: (frame) => webSocket.send(frame),
    close: (code, reason) => webSocket.close(code, reason),
    terminate: () => webSocket.terminate(),
  };
}

/** What an answer that opens no WebSocket says; a coordinator's has the reason in `error`. */
async function refusalOf(response: IncomingMessage): Promise<Error> {
  let text = '';
  try {
    for await (const chunk of response) {
      text += chunk;
      if (text.length > MAX_REFUSAL_LENGTH) break;
    }
  } catch {
    // Cut off in the middle: the status says enough.
  }
  const reason = /"error":"([^"]+)"/.exec(text)?.[1];
  return new Error(`HTTP status ${response.statusCode}${reason ? `: ${reason}` : ''}`);
}
