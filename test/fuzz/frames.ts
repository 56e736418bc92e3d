import fc from 'fast-check';
import { closeCodeInfo } from '../../src/protocol/closeCodes.ts';
import type { CoordinatorMessage, PeerMessage } from '../../src/protocol/messages.ts';
import { ProtocolError } from '../../src/protocol/protocolError.ts';
import { decodeCoordinatorMessage, decodePeerMessage, encodeMessage } from '../../src/protocol/wire.ts';
import invalidFrames from '../fixtures/wire/invalid.json' with { type: 'json' };
import validFrames from '../fixtures/wire/valid.json' with { type: 'json' };
import { damaged } from './bytes.ts';
import { coordinatorMessages, type Direction, peerMessages } from './messages.ts';
import { bombs, oddFrames } from './oddFields.ts';
import { expectUnpolluted, outcomeOf, type Target } from './target.ts';

export interface FrameCase {
  /** Whose messages the receiver takes. */
  readonly direction: Direction;
  readonly frame: Uint8Array;
}

/** Tokens of MessagePack with the largest sizes, of extension types, of numbers that are none; keys of every object. */
const TELLING = [
  ...[
    'c1',
    'c0',
    'c6ffffffff',
    'c5ffff',
    'dbffffffff',
    'd9ff',
    'ddffffffff',
    'dcffff',
    'dfffffffff',
    'deffff',
  ],
  ...['d4ff00', 'd6ff00000000', 'c7ff01', 'c9ffffffff00', 'ca7fc00000', 'cb7ff8000000000000'],
  ...['cb7ff0000000000000', 'cbfff0000000000000', 'cfffffffffffffffff', 'd38000000000000000'],
  ...[
    'a95f5f70726f746f5f5f',
    'ab636f6e7374727563746f72',
    'a474797065',
    '91919191',
    '81a161',
    '8f',
    '9f',
    'bf',
  ],
];

/** Messages that are damaged: made once and for all, as making them takes longer than damaging them. */
const known: Readonly<Record<Direction, readonly (PeerMessage | CoordinatorMessage)[]>> = {
  peer: fc.sample(peerMessages, { numRuns: 500, seed: 1 }),
  coordinator: fc.sample(coordinatorMessages, { numRuns: 500, seed: 1 }),
};

/** What strangers may send: noise, damaged messages, messages with wrong fields, and those that are too much. */
function wildFramesOf(direction: Direction): fc.Arbitrary<Uint8Array> {
  const golden = [...validFrames, ...invalidFrames]
    .filter((frame) => frame.direction === direction && frame.hex.length > 0 && frame.hex.length < 4_000)
    .map(({ hex }) => Uint8Array.from(Buffer.from(hex, 'hex')));
  const sources = fc.constantFrom(...golden, ...known[direction].map(encodeMessage));
  return fc.oneof(
    { arbitrary: fc.uint8Array({ maxLength: 64 }), weight: 1 },
    { arbitrary: damaged(sources, TELLING), weight: 8 },
    { arbitrary: oddFrames(fc.constantFrom(...known[direction])), weight: 6 },
    { arbitrary: bombs, weight: 1 },
  );
}

/** Of either end. */
export const wildFrames = { peer: wildFramesOf('peer'), coordinator: wildFramesOf('coordinator') } as const;

const framesTo = (direction: Direction, from: Direction): fc.Arbitrary<FrameCase> =>
  fc.record({ direction: fc.constant(direction), frame: wildFrames[from] });

/** A frame is refused as the protocol says, or is a message that can be sent again and is the same then. */
export const frames: Target<FrameCase> = {
  name: 'frame',
  share: 92,
  cases: fc.oneof(
    { arbitrary: framesTo('peer', 'peer'), weight: 9 },
    { arbitrary: framesTo('coordinator', 'coordinator'), weight: 9 },
    { arbitrary: framesTo('peer', 'coordinator'), weight: 1 },
    { arbitrary: framesTo('coordinator', 'peer'), weight: 1 },
  ),
  async check({ direction, frame }) {
    const outcome = await outcomeOf(() => decode(direction, frame));
    expectUnpolluted();
    if ('error' in outcome) {
      expectRefusal(outcome.error);
      return;
    }
    expectBounded(outcome.value);
    expectSameAgain(direction, outcome.value);
  },
};

interface MessageCase {
  readonly direction: Direction;
  readonly message: PeerMessage | CoordinatorMessage;
}

const direct = <M>(direction: Direction, messages: fc.Arbitrary<M>) =>
  messages.map((message) => ({ direction, message }));

/** Every message arrives as it was sent. */
export const messages: Target<MessageCase> = {
  name: 'message',
  share: 3,
  cases: fc.oneof(direct('peer', peerMessages), direct('coordinator', coordinatorMessages)),
  async check({ direction, message }) {
    expectSameAgain(direction, message);
  },
};

/** What the protocol says of every frame; the message has no more than its frame. */
const MOST_LEVELS = 16;
const MOST_VALUES = 16_384;

function expectBounded(message: PeerMessage | CoordinatorMessage): void {
  let values = 0;
  const visit = (value: unknown, levels: number): void => {
    values += 1;
    if (levels > MOST_LEVELS) throw new Error(`expected at most ${MOST_LEVELS} levels of nesting, got more`);
    if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return;
    if (!Array.isArray(value)) values += Object.keys(value).length;
    for (const each of Object.values(value)) visit(each, levels + 1);
  };
  visit(message, 0);
  if (values > MOST_VALUES) throw new Error(`expected at most ${MOST_VALUES} values, got ${values}`);
}

/** As bytes: an integer of -0 is sent as 0, and a float that is integral as an integer. */
function expectSameAgain(direction: Direction, message: PeerMessage | CoordinatorMessage): void {
  const sent = encodeMessage(message);
  const again = encodeMessage(decode(direction, sent));
  if (Buffer.compare(sent, again) !== 0) throw new Error('expected the message as it was sent, got another');
}

function decode(direction: Direction, frame: Uint8Array): PeerMessage | CoordinatorMessage {
  return direction === 'peer' ? decodePeerMessage(frame) : decodeCoordinatorMessage(frame);
}

/** `frame: …`, or the path of a field; short, and in one line, as it goes to logs and into a close frame. */
const REFUSAL = /^(frame|[A-Za-z]+(\.[\w.@+-]+|\[\d+\]|\["[^\n]{0,50}"\])*): [^\n]{1,300}$/;

function expectRefusal(error: unknown): void {
  if (!(error instanceof ProtocolError)) throw error;
  if (!closeCodeInfo(error.closeCode))
    throw new Error(`unknown close code ${error.closeCode}: ${error.message}`);
  if (error.message.length > 400) throw new Error(`a message of ${error.message.length} characters`);
  if (!REFUSAL.test(error.message)) throw new Error(`no refusal that names a field: ${error.message}`);
}
