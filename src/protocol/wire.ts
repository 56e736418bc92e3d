import { Packr, RESET_BUFFER_MODE } from 'msgpackr/pack';
import { checkFrame } from './checkFrame.ts';
import { CloseCode } from './closeCodes.ts';
import { MAX_FRAME_BYTES } from './limits.ts';
import type { CoordinatorMessage, PeerMessage } from './messages.ts';
import { ProtocolError } from './protocolError.ts';
import { validateCoordinatorMessage, validatePeerMessage } from './validate.ts';

// This file alone imports msgpackr, and takes its `pack` entry: the other one loads a native addon on Node, which would
// then read what strangers send. Plain MessagePack maps: no records, no extension types, the shortest form of a size.
const options = {
  useRecords: false,
  variableMapSize: true,
  skipValues: [undefined],
  int64AsType: 'number' as const,
};
const packr = new Packr(options);

/**
 * Writes a message as one WebSocket frame. Fields that are `undefined` are left out.
 *
 * @returns bytes with a buffer of their own, which may be kept or transferred
 * @throws {TypeError} for a value that no receiver accepts, such as NaN, or a typed array other than Uint8Array
 */
export function encodeMessage(message: PeerMessage | CoordinatorMessage): Uint8Array<ArrayBuffer> {
  expectPackable(message, message.type);
  // msgpackr returns a view of a buffer that it goes on writing to: copy.
  return new Uint8Array(packr.pack(message, RESET_BUFFER_MODE));
}

/**
 * Reads what a peer has sent. The `Uint8Array` fields of the result are views of `frame`, at any alignment.
 *
 * @throws {ProtocolError} and nothing else, whatever the bytes are
 */
export function decodePeerMessage(frame: Uint8Array, maxBytes = MAX_FRAME_BYTES): PeerMessage {
  return validatePeerMessage(unpack(frame, maxBytes));
}

/**
 * Reads what the coordinator has sent. The `Uint8Array` fields of the result are views of `frame`, at any alignment.
 *
 * @throws {ProtocolError} and nothing else, whatever the bytes are
 */
export function decodeCoordinatorMessage(frame: Uint8Array, maxBytes = MAX_FRAME_BYTES): CoordinatorMessage {
  return validateCoordinatorMessage(unpack(frame, maxBytes));
}

function unpack(frame: Uint8Array, maxBytes: number): Record<string, unknown> {
  if (frame.byteLength > maxBytes) {
    throw new ProtocolError(
      `frame: expected at most ${maxBytes} bytes, got ${frame.byteLength}`,
      CloseCode.tooBig,
    );
  }
  checkFrame(frame);
  try {
    // A fresh view, since msgpackr leaves a property on the array that it is given.
    return packr.unpack(new Uint8Array(frame.buffer, frame.byteOffset, frame.byteLength));
  } catch (cause) {
    throw new ProtocolError('frame: not MessagePack', CloseCode.malformed, { cause });
  }
}

/** msgpackr writes some values as other values without a word, a Float32Array even as garbage: refuse all of them. */
function expectPackable(value: unknown, path: string): void {
  switch (typeof value) {
    case 'string':
    case 'boolean':
    case 'undefined':
      return;
    case 'number':
      if (Number.isFinite(value)) return;
      throw new TypeError(`${path}: ${value} cannot be sent`);
    case 'object':
      if (value === null || value instanceof Uint8Array) return;
      if (Array.isArray(value)) {
        for (const [i, item] of value.entries()) {
          if (item === undefined) throw new TypeError(`${path}[${i}]: undefined cannot be sent`);
          expectPackable(item, `${path}[${i}]`);
        }
        return;
      }
      if (Object.getPrototypeOf(value) === Object.prototype || Object.getPrototypeOf(value) === null) {
        for (const [key, item] of Object.entries(value)) expectPackable(item, `${path}.${key}`);
        return;
      }
      throw new TypeError(`${path}: ${value.constructor.name} cannot be sent`);
    default:
      throw new TypeError(`${path}: a ${typeof value} cannot be sent`);
  }
}
