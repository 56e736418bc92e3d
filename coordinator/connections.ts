import type { WebSocket } from 'ws';
import { CloseCode, closeReason } from '../src/protocol/closeCodes.ts';
import type { CoordinatorMessage, PeerMessage } from '../src/protocol/messages.ts';
import { ProtocolError } from '../src/protocol/protocolError.ts';
import { decodePeerMessage, encodeMessage } from '../src/protocol/wire.ts';
import type { Token } from '../src/token.ts';

/** Time for the first message after a connection is open, in milliseconds. */
const HELLO_MS = 2_000;
/** Bytes that may wait for a peer that does not read; then it is cut off. */
const MAX_QUEUED_BYTES = 64 * 2 ** 20;

/** One open WebSocket of a peer. */
export interface Connection {
  readonly id: number;
  /** Set once its `hello` was accepted. */
  peer: string | null;
  /** What it was let in with; `null` in a run without tokens. */
  readonly token: Token | null;
  /** When anything, a pong included, was last heard of it. */
  heardAtMs: number;
  /** @param frame the message as it is sent, where it was encoded already */
  send(message: CoordinatorMessage, frame?: Uint8Array<ArrayBuffer>): number;
  ping(): void;
  close(code: CloseCode, reason: string): void;
  terminate(): void;
}

export interface ConnectionEvents {
  /** The most bytes that a frame may have now. */
  frameLimit(connection: Connection): number;
  /** A valid message, and its size as a frame. */
  message(connection: Connection, message: PeerMessage, bytes: number): void;
  /** A frame that is no valid message; the connection is being closed. */
  invalid(connection: Connection, error: ProtocolError): void;
  closed(connection: Connection, reason: string): void;
}

/** Wraps a WebSocket: bytes to validated messages, limits, and the deadline for its first message. */
export function adoptConnection(
  id: number,
  webSocket: WebSocket,
  token: Token | null,
  now: () => number,
  events: ConnectionEvents,
): Connection {
  let closeNote = '';
  const connection: Connection = {
    id,
    peer: null,
    token,
    heardAtMs: now(),
    send(message, frame = encodeMessage(message)) {
      if (webSocket.bufferedAmount + frame.byteLength > MAX_QUEUED_BYTES) {
        connection.close(CloseCode.slowConsumer, `more than ${MAX_QUEUED_BYTES} bytes wait to be read`);
        webSocket.terminate();
        return 0;
      }
      webSocket.send(frame);
      return frame.byteLength;
    },
    ping: () => webSocket.ping(),
    close(code, reason) {
      closeNote ||= reason;
      webSocket.close(code, closeReason(reason));
    },
    terminate() {
      closeNote ||= 'silent';
      webSocket.terminate();
    },
  };
  const helloTimer = setTimeout(() => {
    if (connection.peer === null)
      connection.close(CloseCode.malformed, `expected hello within ${HELLO_MS} ms`);
  }, HELLO_MS);
  webSocket.on('message', (data: Buffer, isBinary: boolean) => {
    connection.heardAtMs = now();
    // Frames that were under way when this end closed the connection: whoever sent them is out.
    if (webSocket.readyState !== webSocket.OPEN) return;
    if (!isBinary) {
      connection.close(CloseCode.textFrame, 'expected a binary frame, got text');
      return;
    }
    try {
      const message = decodePeerMessage(data, events.frameLimit(connection));
      events.message(connection, message, data.byteLength);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      connection.close(error.closeCode, error.message);
      events.invalid(connection, error);
    }
  });
  webSocket.on('pong', () => {
    connection.heardAtMs = now();
  });
  // A broken frame or network: `close` follows, and that is where it is dealt with.
  webSocket.on('error', (error) => {
    closeNote ||= error.message;
  });
  webSocket.on('close', (code, reason) => {
    clearTimeout(helloTimer);
    events.closed(connection, closeNote || reason.toString() || `close code ${code}`);
  });
  return connection;
}
