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
  /** Who has sent it. */
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

/** Messages that are damaged: a thousand, once and for all, as making them takes longer than damaging them. */
const known = [peerMessages, coordinatorMessages].flatMap((all) =>
  fc.sample<PeerMessage | CoordinatorMessage>(all, { numRuns: 500, seed: 1 }),
);
const golden = [...validFrames, ...invalidFrames]
  .filter(({ hex }) => hex.length > 0 && hex.length < 4_000)
  .map(({ hex }) => Uint8Array.from(Buffer.from(hex, 'hex')));
const sources = fc.constantFrom(...golden, ...known.map(encodeMessage));

/** What strangers may send: noise, damaged messages, messages with wrong fields, and a few right ones. */
export const wildFrames: fc.Arbitrary<Uint8Array> = fc.oneof(
  { arbitrary: fc.uint8Array({ maxLength: 64 }), weight: 1 },
  { arbitrary: damaged(sources, TELLING), weight: 8 },
  { arbitrary: oddFrames(fc.constantFrom(...known)), weight: 6 },
  { arbitrary: bombs, weight: 1 },
);

/** A frame is refused as the protocol says, or is a message that can be sent again and is the same then. */
export const frames: Target<FrameCase> = {
  name: 'frame',
  share: 92,
  cases: fc.record({ direction: fc.constantFrom<Direction>('peer', 'coordinator'), frame: wildFrames }),
  async check({ direction, frame }) {
    const outcome = await outcomeOf(() => decode(direction, frame));
    expectUnpolluted();
    if ('error' in outcome) {
      expectRefusal(outcome.error);
      return;
    }
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
