import { ProtocolError } from './protocolError.ts';

/** How deep maps and arrays may be nested: an experiment needs 4. */
const MAX_DEPTH = 16;

/** How many values, keys included, a frame may hold: each costs far more memory than the byte that it may come as. */
const MAX_VALUES = 16_384;

/**
 * Walks a frame without building anything, and refuses all that this protocol does not use: extension types, a top
 * level other than a map, keys other than strings, declared sizes beyond the bytes that are there, nesting and numbers
 * of values beyond any message's need, and anything after the one value. What passes is safe to decode.
 *
 * @throws {ProtocolError}
 */
export function checkFrame(frame: Uint8Array): void {
  const walker = new Walker(frame);
  const kind = frame.length === 0 ? 'nothing' : kindOf(frame[0]!);
  if (kind !== 'map') throw new ProtocolError(`frame: expected a MessagePack map, got ${kind}`);
  walker.value(0);
  const rest = frame.length - walker.position;
  if (rest > 0)
    throw new ProtocolError(`frame: expected its end at byte ${walker.position}, got ${rest} more`);
}

class Walker {
  position = 0;
  readonly #frame: Uint8Array;
  #values = 0;

  constructor(frame: Uint8Array) {
    this.#frame = frame;
  }

  /** Moves past one value that is nested in `depth` others. */
  value(depth: number): void {
    if (++this.#values > MAX_VALUES) throw new ProtocolError(`frame: expected at most ${MAX_VALUES} values`);
    const start = this.position;
    const token = this.#unsigned(1);
    const kind = kindOf(token);
    switch (kind) {
      case 'scalar':
        this.#skip(scalarBytes(token), start);
        break;
      case 'string':
        this.#skip(token < 0xc0 ? token & 0x1f : this.#unsigned(1 << (token - 0xd9)), start);
        break;
      case 'bytes':
        this.#skip(this.#unsigned(1 << (token - 0xc4)), start);
        break;
      case 'array': {
        const count = token < 0xa0 ? token & 0x0f : this.#unsigned(2 << (token - 0xdc));
        this.#expectRoom(count, depth, start);
        for (let i = 0; i < count; i++) this.value(depth + 1);
        break;
      }
      case 'map': {
        const count = token < 0x90 ? token & 0x0f : this.#unsigned(2 << (token - 0xde));
        this.#expectRoom(2 * count, depth, start);
        for (let i = 0; i < count; i++) {
          this.#key(depth + 1);
          this.value(depth + 1);
        }
        break;
      }
      default:
        throw new ProtocolError(
          `frame: expected a map, array, string, number, boolean, nil or bytes at byte ${start}, got ${kind}`,
        );
    }
  }

  /** Every item takes a byte at least. */
  #expectRoom(items: number, depth: number, start: number): void {
    if (depth >= MAX_DEPTH) throw new ProtocolError(`frame: expected at most ${MAX_DEPTH} levels of nesting`);
    const left = this.#frame.length - this.position;
    if (items > left) {
      throw new ProtocolError(
        `frame: ${items} items declared at byte ${start}, but only ${left} bytes follow`,
      );
    }
  }

  #key(depth: number): void {
    const token = this.#frame[this.position];
    if (token !== undefined && kindOf(token) !== 'string') {
      throw new ProtocolError(
        `frame: expected a string as key at byte ${this.position}, got ${kindOf(token)}`,
      );
    }
    this.value(depth);
  }

  #skip(bytes: number, start: number): void {
    const left = this.#frame.length - this.position;
    if (bytes > left) {
      throw new ProtocolError(`frame: ${bytes} bytes declared at byte ${start}, but only ${left} follow`);
    }
    this.position += bytes;
  }

  /** Reads a big-endian unsigned integer. */
  #unsigned(bytes: number): number {
    const start = this.position;
    this.#skip(bytes, start);
    let value = 0;
    for (let i = start; i < this.position; i++) value = value * 256 + this.#frame[i]!;
    return value;
  }
}

type Kind = 'scalar' | 'string' | 'bytes' | 'array' | 'map' | 'an extension type' | 'the unused byte 0xc1';

/** What kind of value a MessagePack token starts. */
function kindOf(token: number): Kind {
  if (token < 0x80 || token >= 0xe0) return 'scalar';
  if (token < 0x90) return 'map';
  if (token < 0xa0) return 'array';
  if (token < 0xc0) return 'string';
  if (token === 0xc1) return 'the unused byte 0xc1';
  if (token < 0xc4) return 'scalar';
  if (token < 0xc7) return 'bytes';
  if (token < 0xca) return 'an extension type';
  if (token < 0xd4) return 'scalar';
  if (token < 0xd9) return 'an extension type';
  if (token < 0xdc) return 'string';
  return token < 0xde ? 'array' : 'map';
}

/** How many bytes follow a scalar's token. */
function scalarBytes(token: number): number {
  if (token === 0xca) return 4;
  if (token === 0xcb) return 8;
  if (token >= 0xcc && token <= 0xcf) return 1 << (token - 0xcc);
  if (token >= 0xd0 && token <= 0xd3) return 1 << (token - 0xd0);
  return 0;
}
