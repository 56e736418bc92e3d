/**
 * Why a connection was closed: WebSocket close codes. 4001 to 4010 are this protocol's own; each has one meaning.
 */
export const CloseCode = {
  finished: 1000,
  textFrame: 1003,
  tooBig: 1009,
  internal: 1011,
  unauthorized: 4001,
  protocolVersion: 4002,
  mismatch: 4003,
  superseded: 4004,
  leaseExpired: 4005,
  slowConsumer: 4006,
  malformed: 4007,
  poisoned: 4008,
  draining: 4009,
  rateLimit: 4010,
} as const;
export type CloseCode = (typeof CloseCode)[keyof typeof CloseCode];

export interface CloseCodeInfo {
  /** One sentence, for logs and for people. */
  readonly meaning: string;
  /** Whether the same program, with the same settings, can succeed if it connects again. */
  readonly reconnect: boolean;
}

const infos: Readonly<Record<CloseCode, CloseCodeInfo>> = {
  1000: { meaning: 'The run is over, or this peer has said that it is done.', reconnect: false },
  1003: { meaning: 'A text frame came; every frame of this protocol is binary.', reconnect: false },
  1009: { meaning: 'A frame is larger than the limit for it.', reconnect: false },
  1011: { meaning: 'The coordinator failed; its log says why.', reconnect: true },
  4001: {
    meaning: "The token is missing, wrong or revoked, or the name is another key's.",
    reconnect: false,
  },
  4002: { meaning: 'The two ends speak different versions of the protocol.', reconnect: false },
  4003: {
    meaning: "The peer's name, dataset, classes or shapes are not those of this run.",
    reconnect: false,
  },
  4004: { meaning: 'A newer connection of the same peer has taken over.', reconnect: false },
  4005: { meaning: 'Nothing was heard of the peer for so long that it lost its place.', reconnect: true },
  4006: { meaning: 'The peer reads more slowly than targets are made for it.', reconnect: true },
  4007: { meaning: 'A frame is not a valid message.', reconnect: false },
  4008: { meaning: 'The peer kept sending values that are not finite.', reconnect: false },
  4009: { meaning: 'The coordinator is shutting down and may be back soon.', reconnect: true },
  4010: { meaning: 'Too many messages or connections came in a short time.', reconnect: true },
};

/** What a close code means; `undefined` for one that is not part of this protocol. */
export function closeCodeInfo(code: number): CloseCodeInfo | undefined {
  return infos[code as CloseCode];
}

/** Whether a peer should connect again. Codes from elsewhere, such as 1006 for a lost network, all may pass. */
export function shouldReconnect(code: number): boolean {
  return closeCodeInfo(code)?.reconnect ?? true;
}

/** The largest reason that fits into a WebSocket close frame. */
const REASON_BYTES = 123;

/** `text` as a close reason: cut, if need be, to 123 bytes of UTF-8 without splitting a character. */
export function closeReason(text: string): string {
  const bytes = new Uint8Array(REASON_BYTES);
  const { read } = new TextEncoder().encodeInto(text, bytes);
  return text.slice(0, read);
}
