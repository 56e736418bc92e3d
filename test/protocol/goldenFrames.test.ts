import { describe, expect, it } from 'vitest';
import { codecs } from '../../src/codec/index.ts';
import { CoordinatorMessage, PeerMessage } from '../../src/protocol/messages.ts';
import { ProtocolError } from '../../src/protocol/protocolError.ts';
import { decodeCoordinatorMessage, decodePeerMessage, encodeMessage } from '../../src/protocol/wire.ts';
import { createRandom } from '../../src/random.ts';
import invalidFrames from '../fixtures/wire/invalid.json' with { type: 'json' };
import validFrames from '../fixtures/wire/valid.json' with { type: 'json' };

type Message = PeerMessage | CoordinatorMessage;

const bytesOf = (hex: string) => Uint8Array.from(Buffer.from(hex, 'hex'));

function decode(direction: string, frame: Uint8Array): Message {
  return direction === 'peer' ? decodePeerMessage(frame) : decodeCoordinatorMessage(frame);
}

/** The meaning as a message: `{"$bin": hex}` are bytes. */
function messageOf(meaning: unknown): Message {
  return JSON.parse(JSON.stringify(meaning), (_, value) =>
    value?.$bin === undefined ? value : bytesOf(value.$bin),
  );
}

function errorOf(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe('valid golden frames', () => {
  it.each(validFrames)('$name: decodes to its meaning, which encodes to the same bytes', (frame) => {
    const message = messageOf(frame.meaning);
    expect(decode(frame.direction, bytesOf(frame.hex))).toEqual(message);
    expect(Buffer.from(encodeMessage(message)).toString('hex')).toBe(frame.hex);
  });

  it('cover every message type, and every codec', () => {
    const types = [...PeerMessage.options, ...CoordinatorMessage.options].map(
      ({ shape }) => shape.type.value,
    );
    expect(new Set(validFrames.map(({ meaning }) => meaning.type))).toEqual(new Set(types));
    const used = [...JSON.stringify(validFrames).matchAll(/"codec":"(\w+)"/g)].map(([, codec]) => codec);
    expect(new Set(used)).toEqual(new Set(Object.keys(codecs)));
  });

  it('cover every field, those that may be absent in some frame and not in another', () => {
    for (const schema of [...PeerMessage.options, ...CoordinatorMessage.options]) {
      const { type } = schema.shape;
      const direction = PeerMessage.options.some((each) => each === schema) ? 'peer' : 'coordinator';
      const frames = validFrames.filter(
        (frame) => frame.direction === direction && frame.meaning.type === type.value,
      );
      for (const [field, its] of Object.entries(schema.shape)) {
        const present = frames.map(({ meaning }) => field in meaning);
        expect(present, `${type.value}.${field}`).toContain(true);
        if (its.safeParse(undefined).success) expect(present, `${type.value}.${field}`).toContain(false);
      }
    }
  });
});

describe('invalid golden frames', () => {
  it.each(invalidFrames)('$name: is refused', ({ direction, hex, error: text, closeCode }) => {
    const error = errorOf(() => decode(direction, bytesOf(hex)));
    expect(error).toBeInstanceOf(ProtocolError);
    expect((error as ProtocolError).message).toContain(text);
    expect((error as ProtocolError).closeCode).toBe(closeCode);
  });
});

describe('damaged frames', () => {
  /** Fails unless a frame is refused with a ProtocolError, or is a message that can be sent again. */
  function expectSafe(direction: string, frame: Uint8Array): void {
    let message: Message;
    try {
      message = decode(direction, frame);
    } catch (error) {
      if (error instanceof ProtocolError && error.message.length < 400) return;
      throw new Error(`${Buffer.from(frame).toString('hex')}: ${error}`, { cause: error });
    }
    expect(decode(direction, encodeMessage(message))).toEqual(message);
  }

  it('are refused wherever they are cut off', () => {
    for (const { direction, hex } of validFrames) {
      const frame = bytesOf(hex);
      for (let end = 0; end < frame.length; end++) {
        expect(errorOf(() => decode(direction, frame.subarray(0, end)))).toBeInstanceOf(ProtocolError);
      }
    }
  });

  it('are refused or are other messages, whichever bit is flipped', () => {
    for (const { direction, hex } of validFrames) {
      const frame = bytesOf(hex);
      for (let bit = 0; bit < frame.length * 8; bit++) {
        frame[bit >> 3]! ^= 1 << (bit & 7);
        expectSafe(direction, frame);
        frame[bit >> 3]! ^= 1 << (bit & 7);
      }
    }
  });

  it('are refused or are other messages after random changes of all kinds', () => {
    const random = createRandom(1, 'damage');
    const frames = [...validFrames, ...invalidFrames].filter(
      ({ hex }) => hex.length > 0 && hex.length < 4000,
    );
    for (let i = 0; i < 20_000; i++) {
      const { direction, hex } = frames[random.below(frames.length)]!;
      const frame = [...bytesOf(hex)];
      for (let changes = 1 + random.below(4); changes > 0; changes--) {
        const at = random.below(frame.length);
        const removed = random.below(2);
        const added = Array.from({ length: random.below(3) }, () => random.below(256));
        frame.splice(at, removed, ...added);
        if (frame.length === 0) break;
      }
      expectSafe(direction, Uint8Array.from(frame));
    }
  });
});
