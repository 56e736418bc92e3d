import type { WebSocket } from 'ws';
import { CloseCode, closeReason } from '../src/protocol/closeCodes.ts';
import { MAX_FRAME_BYTES } from '../src/protocol/limits.ts';
import type { CoordinatorMessage, PeerMessage } from '../src/protocol/messages.ts';
import { ProtocolError } from '../src/protocol/protocolError.ts';
import { decodePeerMessage, encodeMessage } from '../src/protocol/wire.ts';
import type { Token } from '../src/token.ts';
import { createOutbox, dequeue, enqueue, MAX_QUEUED_BYTES, MAX_UNDER_WAY } from './outbox.ts';
import { createTokenBucket, type Rate, takeToken } from './tokenBucket.ts';
import { type FrameRefusal, refusalOf } from './traffic.ts';

/** Time for the first message after a connection is open, in milliseconds. */
const HELLO_MS = 2_000;
/** Messages and pings of one peer: many times what the fastest training sends, and the pieces of a large result at once. */
const MESSAGE_RATE: Rate = { burst: 10_000, perSecond: 5_000 };
/** The most bytes that are gathered of a stranger's message: so much that its size can still be told. */
const STRANGER_BYTES = 64 * 1024;
/** The least pace, in bytes a second, at which a frame under way still counts as being read. */
const LEAST_PACE = 64 * 1024;

/** One open WebSocket of a peer. */
export interface Connection {
  readonly id: number;
  /** Whose it is, once its `hello` was accepted. */
  readonly peer: string | null;
  /** What it was let in with; `null` in a run without tokens. */
  readonly token: Token | null;
  /** When anything, a part of a frame included, was last heard of it. */
  readonly heardAtMs: number;
  /** Bytes have come. */
  heard(): void;
  /** Its `hello` was accepted. */
  admit(peer: string): void;
  /** Bytes that were made for the peer and not read yet. */
  queuedBytes(): number;
  /** @param frame the message as it is sent, where it was encoded already */
  send(message: CoordinatorMessage, frame?: Uint8Array<ArrayBuffer>): void;
  ping(): void;
  /** Ends a connection whose peer has read nothing for longer than it may. */
  cutIfStuck(allowedMs: number): void;
  close(code: CloseCode, reason: string): void;
  terminate(): void;
}

export interface ConnectionEvents {
  /** The most bytes that a frame may have now. */
  frameLimit(connection: Connection): number;
  /** A valid message, and its size as a frame. */
  message(connection: Connection, message: PeerMessage, bytes: number): void;
  /** A frame that is not taken, and why; the connection is being closed. */
  refused(connection: Connection, refusal: FrameRefusal, reason: string): void;
  /** What another one of these threw; the connection is being closed. */
  failed(connection: Connection, error: unknown): void;
  /** A frame was handed to the network. */
  sent(connection: Connection, bytes: number): void;
  /** What a peer that reads slowly does not get: the target of a round, or a piece of weights. */
  skipped(connection: Connection, what: { readonly round: number } | 'piece'): void;
  closed(connection: Connection, code: number, reason: string): void;
}

/** Wraps a WebSocket: bytes to validated messages, limits in both directions, and the deadline for its first message. */
export function adoptConnection(
  id: number,
  webSocket: WebSocket,
  token: Token | null,
  now: () => number,
  events: ConnectionEvents,
): Connection {
  /** Why this end ended it, if it did. */
  let closeNote = '';
  let closedWith: CloseCode | null = null;
  let peer: string | null = null;
  let heardAtMs = now();
  const outbox = createOutbox();
  const rate = createTokenBucket(MESSAGE_RATE, now());
  let underWay = 0;
  /** When the network last took a frame, or got one after it had none. */
  let movedAtMs = now();

  const transmit = (frame: Uint8Array): void => {
    if (underWay === 0) movedAtMs = now();
    underWay += 1;
    webSocket.send(frame, () => {
      underWay -= 1;
      movedAtMs = now();
      pump();
    });
    events.sent(connection, frame.byteLength);
  };

  const pump = (most = MAX_UNDER_WAY): void => {
    while (underWay < most && webSocket.readyState === webSocket.OPEN) {
      const frame = dequeue(outbox);
      if (!frame) return;
      transmit(frame);
    }
  };

  const cut = (reason: string): void => {
    closeNote ||= reason;
    closedWith ??= CloseCode.slowConsumer;
    webSocket.close(CloseCode.slowConsumer, closeReason(reason));
    webSocket.terminate();
  };

  const connection: Connection = {
    id,
    token,
    get peer() {
      return peer;
    },
    get heardAtMs() {
      return heardAtMs;
    },
    heard() {
      heardAtMs = now();
    },
    admit(name) {
      peer = name;
      limitPayload(webSocket, MAX_FRAME_BYTES);
    },
    queuedBytes: () => webSocket.bufferedAmount + outbox.bytes,
    send(message, frame = encodeMessage(message)) {
      if (webSocket.readyState !== webSocket.OPEN) return;
      const queued = enqueue(outbox, message, frame, webSocket.bufferedAmount);
      if (queued.kind === 'overflow') cut(`more than ${MAX_QUEUED_BYTES} bytes wait to be read`);
      else if (queued.kind === 'dropped') events.skipped(connection, 'piece');
      else if (queued.replacedRound !== null) events.skipped(connection, { round: queued.replacedRound });
      pump();
    },
    ping: () => webSocket.ping(),
    cutIfStuck(allowedMs) {
      const waiting = connection.queuedBytes();
      // Pings are answered by the library, past the queue: a flood of them fills it all the same.
      if (waiting > MAX_QUEUED_BYTES) cut(`more than ${MAX_QUEUED_BYTES} bytes wait to be read`);
      const readingMs = (webSocket.bufferedAmount / LEAST_PACE) * 1000;
      if (underWay > 0 && now() - movedAtMs > allowedMs + readingMs)
        cut(`nothing was read for ${Math.round((now() - movedAtMs) / 1000)} s, and ${waiting} bytes wait`);
    },
    close(code, reason) {
      closeNote ||= reason;
      closedWith ??= code;
      // What waits was said before the end.
      pump(Number.POSITIVE_INFINITY);
      webSocket.close(code, closeReason(reason));
    },
    terminate() {
      closeNote ||= 'silent';
      webSocket.terminate();
    },
  };

  const refuse = (refusal: FrameRefusal, code: CloseCode, reason: string): void => {
    connection.close(code, reason);
    events.refused(connection, refusal, reason);
  };

  limitPayload(webSocket, STRANGER_BYTES);
  const helloTimer = setTimeout(() => {
    if (peer === null) connection.close(CloseCode.malformed, `expected hello within ${HELLO_MS} ms`);
  }, HELLO_MS);

  /** A fault of the coordinator ends this connection, and no other one. */
  const fail = (error: unknown): void => {
    connection.close(CloseCode.internal, 'the coordinator failed at a message; its log says why');
    events.failed(connection, error);
  };

  /** Whether one more message or ping may come; ends the connection if not. */
  const withinRate = (): boolean => {
    if (takeToken(rate, MESSAGE_RATE, now())) return true;
    const { burst, perSecond } = MESSAGE_RATE;
    refuse('rateLimit', CloseCode.rateLimit, `more than ${burst} messages at once and ${perSecond} a second`);
    return false;
  };

  webSocket.on('message', (data: Buffer, isBinary: boolean) => {
    heardAtMs = now();
    // Frames that were under way when this end closed the connection: whoever sent them is out.
    if (webSocket.readyState !== webSocket.OPEN) {
      events.refused(connection, 'afterClose', closeNote);
      return;
    }
    if (!withinRate()) return;
    if (!isBinary) {
      refuse('textFrame', CloseCode.textFrame, 'expected a binary frame, got text');
      return;
    }
    try {
      const message = decodePeerMessage(data, events.frameLimit(connection));
      events.message(connection, message, data.byteLength);
    } catch (error) {
      if (error instanceof ProtocolError) refuse(refusalOf(error.closeCode), error.closeCode, error.message);
      else fail(error);
    }
  });
  webSocket.on('ping', () => {
    if (webSocket.readyState === webSocket.OPEN) withinRate();
  });
  webSocket.on('pong', () => {
    heardAtMs = now();
  });
  // A broken frame or network: `close` follows, and that is where it is dealt with.
  webSocket.on('error', (error: NodeJS.ErrnoException) => {
    closeNote ||= error.message;
    if (!error.code?.startsWith('WS_ERR_')) return;
    const tooBig = error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH';
    events.refused(connection, tooBig ? 'tooBig' : 'malformed', error.message);
  });
  webSocket.on('close', (code, reason) => {
    clearTimeout(helloTimer);
    const why = closeNote || reason.toString() || `close code ${code}`;
    try {
      events.closed(connection, closedWith ?? code, why);
    } catch (error) {
      events.failed(connection, error);
    }
  });
  return connection;
}

/** `ws` has one limit for all connections of a server; that of a stranger is to be lower. */
function limitPayload(webSocket: WebSocket, bytes: number): void {
  (webSocket as unknown as { readonly _receiver: { _maxPayload: number } })._receiver._maxPayload = bytes;
}
