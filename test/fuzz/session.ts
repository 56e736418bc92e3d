import fc from 'fast-check';
import { createBorrowing } from '../../peer/borrowing.ts';
import { createSession, type Session } from '../../peer/session.ts';
import type { SocketEvents } from '../../peer/socket.ts';
import { float32 } from '../../src/codec/float32.ts';
import { CodistillError } from '../../src/errors.ts';
import type { Model } from '../../src/models/types.ts';
import type { CoordinatorMessage, MessageOf, PeerMessage } from '../../src/protocol/messages.ts';
import { decodePeerMessage, encodeMessage } from '../../src/protocol/wire.ts';
import { encodeSafetensors } from '../../src/training/safetensors.ts';
import { batchOf, doneAt, logitsOf, progressAt, readyWith } from '../coordinator/support.ts';
import { wildFrames } from './frames.ts';
import { coordinatorMessages } from './messages.ts';
import { expectUnpolluted, type Target } from './target.ts';
import { withTimers } from './timers.ts';

/** Something that a coordinator or the network does, or the peer itself. */
type Event =
  | { readonly do: 'frame'; readonly frame: Uint8Array }
  | { readonly do: 'drop'; readonly code: number }
  | { readonly do: 'open' | 'timer' | 'exchange' | 'report' | 'finish' | 'abandon' };

export interface SessionCase {
  /** Whether the peer was let in before anything else happens. */
  readonly started: boolean;
  readonly events: readonly Event[];
}

type Message<T extends CoordinatorMessage['type']> = MessageOf<CoordinatorMessage, T>;

const welcome: Message<'welcome'> = {
  ...{ type: 'welcome', protocol: 1, run: 'run', name: 'a', model: 'mlp', experiment: {} },
};
const start: Message<'start'> = { type: 'start', peers: ['a', 'b'] };
const { type: _, ...question } = logitsOf(5);
const tensorOf = (...values: number[]) => ({
  codec: 'float32',
  shape: [1, values.length] as [number, number],
  data: float32.encode(Float32Array.from(values), 1, values.length),
});
const target = (changes: Partial<Message<'target'>> = {}): Message<'target'> => ({
  ...{ type: 'target', round: 5, batch: batchOf(5), view: 'shared', teachers: 1, logits: tensorOf(0, -1) },
  ...changes,
});

/** A piece of the weights of {@link MODEL}. */
function pieceOf(offset: number, bytes: number): CoordinatorMessage {
  const values = new Float32Array(6).fill(0.5);
  const file = encodeSafetensors(new Map([['weight', { dtype: 'F32', shape: [2, 3], values }]]), {});
  const data = file.subarray(offset, offset + bytes);
  return { type: 'checkpoint', request: 1, peer: 'b', step: 4, offset, size: file.length, data };
}

/** Answers and near misses, for a peer that asks about round 5. */
const messages: fc.Arbitrary<CoordinatorMessage> = fc.oneof(
  fc.constantFrom<CoordinatorMessage>(
    ...[welcome, { ...welcome, name: 'other' }, { ...welcome, run: 'other' }, start],
    ...[target(), target({ round: 6 }), target({ view: 'own' }), target({ batch: batchOf(6) })],
    ...[target({ logits: tensorOf(Number.NaN, 0) }), target({ logits: tensorOf(1, 2, 3) })],
    target({ apart: [{ logits: tensorOf(1, 2) }, {}] }),
    { type: 'noTarget', round: 5, reason: 'late', detail: '', nextRound: 2 ** 31 - 1 },
    { type: 'advance', round: 5 },
    { type: 'finished' },
    ...[pieceOf(0, 60), pieceOf(60, 1_000), pieceOf(60, 10), pieceOf(2 ** 31 - 1, 10), pieceOf(0, 1_000)],
    { ...start, weights: { peer: 'b', step: 4, accuracy: 0.5 } },
    { type: 'sendWeights', request: 1, peer: 'b', offset: 0 },
  ),
  fc.constantFrom(...fc.sample(coordinatorMessages, { numRuns: 300, seed: 3 })),
);

const codes = fc.constantFrom(1000, 1005, 1006, 1009, 1011, 4003, 4007, 4009, 65_535);
const event = <D extends Event['do']>(kind: D, weight: number, rest: object = {}) => ({
  arbitrary: fc.record({ do: fc.constant(kind), ...rest }) as unknown as fc.Arbitrary<Event>,
  weight,
});

/**
 * A peer's session with a coordinator that says anything: it never throws, what it says can be read, it rejects nothing
 * but with an error for people, and every exchange has an answer when the connection has ended.
 */
export const sessions: Target<SessionCase> = {
  name: 'session',
  share: 2,
  cases: fc.record({
    started: fc.boolean(),
    events: fc.array(
      fc.oneof(
        event('frame', 10, { frame: messages.map(encodeMessage) }),
        event('frame', 3, { frame: wildFrames.coordinator }),
        ...[event('exchange', 6), event('open', 3), event('timer', 2), event('report', 1)],
        ...[event('finish', 1), event('abandon', 1), event('drop', 2, { code: codes })],
      ),
      { minLength: 1, maxLength: 24, size: 'max' },
    ),
  }),
  check: ({ started, events }) =>
    withTimers(async (fireNext) => {
      const peer = createPeer();
      if (started) peer.letIn();
      for (const each of events) {
        if (each.do === 'timer') fireNext();
        else peer.act(each);
        // Lets what waits for an answer see it.
        await null;
        await null;
        if (each.do === 'drop') peer.expectAnswered();
      }
      peer.session.close();
      peer.end();
      await null;
      await null;
      peer.expectAnswered();
      expectUnpolluted();
    }),
};

/** As much of a model as the weights that come for it are compared with. */
const MODEL = {
  name: 'small',
  parameters: new Map([['weight', { dtype: 'float32', shape: [2, 3], size: 6 }]]),
  buffers: new Map(),
} as unknown as Model;

interface Peer {
  readonly session: Session;
  letIn(): void;
  act(event: Exclude<Event, { readonly do: 'timer' }>): void;
  /** The connection ends, if there is one. */
  end(code?: number): void;
  expectAnswered(): void;
}

function createPeer(): Peer {
  let socket: SocketEvents | null = null;
  let asking = false;
  let wrong: unknown = null;
  const session = createSession({
    hello: { type: 'hello', protocol: 1, incarnation: 'incarnation', backend: 'cpu', device: 'test' },
    connect: (events) => {
      socket = events;
      const send = (frame: Uint8Array) => void decodePeerMessage(frame);
      return { send, close: () => {}, terminate: () => {} };
    },
    patienceMs: 0,
    notify: () => {},
  });
  const expectForPeople = (error: unknown): void => {
    if (!(error instanceof CodistillError)) wrong = error;
  };
  const end = (code = 1006): void => {
    const events = socket;
    socket = null;
    events?.closed(code, '', null);
  };
  session.join().catch(expectForPeople);
  const { type, ...facts } = readyWith();
  const lender = { asked: () => {}, forget: () => {} };
  session.ready(facts, 'continue', { lender, borrower: createBorrowing(MODEL) }).catch(expectForPeople);
  return {
    session,
    end,
    letIn() {
      socket?.opened();
      for (const message of [welcome, start]) socket?.frame(encodeMessage(message));
    },
    act(event) {
      switch (event.do) {
        case 'frame':
          return socket?.frame(event.frame);
        case 'open':
          return socket?.opened();
        case 'drop':
          return end(event.code);
        case 'report':
          return session.report(progressAt(1));
        case 'finish':
          session.finish([doneAt(1) satisfies PeerMessage]).catch(expectForPeople);
          return;
        case 'abandon':
          return session.abandon();
        case 'exchange':
          // A peer asks one question at a time.
          if (asking) return;
          asking = true;
          session.exchange(question, [1, 2]).then(() => {
            asking = false;
          }, expectForPeople);
      }
    },
    expectAnswered() {
      if (wrong !== null) throw wrong;
      if (asking) throw new Error('expected an answer to every question, got none to the last one');
    },
  };
}
