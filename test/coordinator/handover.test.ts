import { describe, expect, it } from 'vitest';
import { receiveFrame } from '../../coordinator/frames.ts';
import { dropHandedPiece } from '../../coordinator/handover.ts';
import { advance, disconnected, hello, receive } from '../../coordinator/run.ts';
import type { Run, RunEffect } from '../../coordinator/runState.ts';
import { summarise } from '../../coordinator/summary.ts';
import { waitsOf, whatIsWaitedFor } from '../../coordinator/waits.ts';
import { WEIGHTS_PIECE_BYTES } from '../../src/protocol/limits.ts';
import type { CoordinatorMessage, MessageOf, PeerMessage } from '../../src/protocol/messages.ts';
import {
  closesOf,
  doneAt,
  eventsOf,
  helloOf,
  progressAt,
  readyWith,
  sentBy,
  settingsWith,
  startedRun,
} from './support.ts';

type Piece = MessageOf<PeerMessage, 'checkpoint'>;

const LEASE = 30_000;
const SIZE = WEIGHTS_PIECE_BYTES + 3;
/** The first connection of the newcomer; the next ones follow. */
const NEWCOMER = 10;

/** A run in training whose students lend, and whose `z` is a newcomer in the place of one that was killed. */
function runWith(accuracies: Readonly<Record<string, number>>, exchange: object = {}): Run {
  const names = [...Object.keys(accuracies), 'z'];
  const run = startedRun(names, settingsWith(exchange), readyWith({ lends: true }));
  for (const [name, accuracy] of Object.entries(accuracies))
    receive(run, name, { type: 'evaluation', step: 4, accuracy, nll: 1, ece: 0 }, 0);
  disconnected(run, 'z', names.length, 'killed', 0);
  return run;
}

/** `z` joins, and wants weights. */
function join(run: Run, nowMs = 0, connection = NEWCOMER, incarnation = 'second-life'): RunEffect[] {
  hello(run, connection, helloOf('z', { incarnation }), nowMs);
  return receive(run, 'z', readyWith({ lends: true, wantsWeights: true }), nowMs);
}

const UNEXPECTED = 'received: expected once, after a piece of weights that came before the start';

const pieceOf = (request: number, offset: number, changes: Partial<Piece> = {}): Piece => ({
  ...{ type: 'checkpoint', request, step: 7, offset, size: SIZE },
  data: new Uint8Array(Math.min(WEIGHTS_PIECE_BYTES, SIZE - offset)).fill(offset + 1),
  ...changes,
});

const receivedOf = (request: number, bytes: number, problem?: string): PeerMessage => ({
  ...{ type: 'received', request, bytes },
  ...(problem !== undefined && { problem }),
});

const askOf = (request: number, offset?: number): CoordinatorMessage => ({
  ...{ type: 'sendWeights', request, peer: 'z' },
  ...(offset !== undefined && { offset }),
});

/** The `start` among what was sent: what `z` begins with, and where. */
function startIn(effects: readonly RunEffect[]): object | undefined {
  const start = sentBy(effects).find(([, { type }]) => type === 'start')?.[1];
  if (start?.type !== 'start') return undefined;
  const { step, weights, noWeights } = start;
  return {
    ...(step !== undefined && { step }),
    ...(weights && { weights }),
    ...(noWeights && { noWeights }),
  };
}

describe('weights for a newcomer', () => {
  it('come from the best, piece by piece, at the pace of the newcomer, and then it starts where the others are', () => {
    const run = runWith({ a: 0.5, b: 0.75 });
    receive(run, 'a', progressAt(40), 0);
    expect(sentBy(join(run))).toEqual([[2, askOf(0, 0)]]);

    const first = pieceOf(0, 0);
    const passed = receive(run, 'b', first, 1);
    first.data.fill(9);
    expect(sentBy(passed)).toEqual([[NEWCOMER, { ...pieceOf(0, 0), peer: 'b' }]]);
    expect(sentBy(receive(run, 'z', receivedOf(0, WEIGHTS_PIECE_BYTES), 2))).toEqual([
      [2, askOf(0, WEIGHTS_PIECE_BYTES)],
    ]);
    receive(run, 'b', pieceOf(0, WEIGHTS_PIECE_BYTES), 3);
    const end = receive(run, 'z', receivedOf(0, SIZE), 4);
    const weights = { peer: 'b', step: 7, accuracy: 0.75 };
    expect(startIn(end)).toEqual({ step: 40, weights });
    expect(eventsOf(end)).toEqual(['startedFrom z']);
    expect(run.members.get('z')!.state).toBe('training');
    expect(summarise(run, false, 1).peers.map((peer) => peer.startedFrom)).toEqual([
      ...[undefined, undefined, weights],
    ]);
    expect(summarise(run, false, 1).exchange.pieces).toEqual({ sent: 2, dropped: 0 });
  });

  it('do not hold up a round: it waits for nobody who has not started', () => {
    const run = runWith({ a: 0.5, b: 0.75 });
    join(run);
    expect(run.rounds.students.get('z')!.connected).toBe(false);
  });

  it('are told of as a wait that ends', () => {
    const run = runWith({ a: 0.5 });
    join(run, 1_000);
    receive(run, 'a', pieceOf(0, 0), 1_000);
    expect(waitsOf(run, 6_000, 0).map(({ kind, peers, seconds }) => [kind, peers, seconds])).toEqual([
      ['weights', ['a'], 5],
    ]);
    expect(whatIsWaitedFor(run, 6_000)).toBe(
      'z has waited 5.0 s for the weights of a (99 % are here); without them it starts with its own in 4 min 55 s',
    );
  });

  it('go to two newcomers at the same time, each by itself', () => {
    const run = startedRun(['a', 'y', 'z'], settingsWith(), readyWith({ lends: true }));
    receive(run, 'a', { type: 'evaluation', step: 4, accuracy: 0.5, nll: 1, ece: 0 }, 0);
    for (const [i, name] of ['y', 'z'].entries()) {
      disconnected(run, name, i + 2, 'killed', 0);
      hello(run, NEWCOMER + i, helloOf(name, { incarnation: `second-of-${name}` }), 0);
      receive(run, name, readyWith({ wantsWeights: true }), 0);
    }
    const toBoth = [1, 0].flatMap((request) => sentBy(receive(run, 'a', pieceOf(request, 0), 0)));
    expect(toBoth.map(([connection]) => connection)).toEqual([NEWCOMER + 1, NEWCOMER]);
    receive(run, 'z', receivedOf(1, WEIGHTS_PIECE_BYTES), 0);
    receive(run, 'a', pieceOf(1, WEIGHTS_PIECE_BYTES), 0);
    expect(startIn(receive(run, 'z', receivedOf(1, SIZE), 0))).toMatchObject({ weights: { peer: 'a' } });
    expect(run.handovers.open.has('y')).toBe(true);
  });

  it('travel where weights are exchanged instead of predictions, too, and reach nobody else', () => {
    const run = runWith({ a: 0.5, b: 0.75 }, { mode: 'checkpoint' });
    join(run);
    const { request, ...broadcast } = pieceOf(0, 0);
    expect(sentBy(receive(run, 'b', broadcast, 0)).map(([to]) => to)).toEqual([1]);
    expect(sentBy(receive(run, 'b', pieceOf(0, 0), 0)).map(([to]) => to)).toEqual([NEWCOMER]);
  });
});

describe('a newcomer starts with its own weights', () => {
  it('before the run has begun, and when it has a checkpoint of its own', () => {
    const run = startedRun(['a', 'b'], settingsWith(), readyWith({ wantsWeights: true }));
    expect(run.members.get('a')!.startedFrom).toEqual({
      ...{ peer: null, reason: 'the run begins, and nobody has trained yet' },
    });
    const resumed = runWith({ a: 0.5 });
    hello(resumed, NEWCOMER, helloOf('z', { incarnation: 'second-life' }), 0);
    const effects = receive(resumed, 'z', readyWith({ wantsWeights: true, step: 3 }), 0);
    expect(startIn(effects)).toEqual({ step: 3 });
    expect(resumed.members.get('z')!.startedFrom).toBeNull();
  });

  it('where nobody has any for it, and takes its rounds again as without the wish', () => {
    const run = startedRun(['a', 'z'], settingsWith(), readyWith({ lends: true }));
    disconnected(run, 'z', 2, 'killed', 0);
    const effects = join(run);
    expect(startIn(effects)).toEqual({ noWeights: 'a was not evaluated yet' });
    expect(eventsOf(effects)).toEqual(['startedFresh z']);
  });

  it('after the last one that has some left on the way, having asked the next best each time', () => {
    const run = runWith({ a: 0.5, b: 0.75 });
    join(run);
    receive(run, 'b', pieceOf(0, 0), 0);
    expect(sentBy(disconnected(run, 'b', 2, 'killed', 0))).toEqual([[1, askOf(1, 0)]]);
    // The piece of the one that left was on its way.
    expect(receive(run, 'z', receivedOf(0, WEIGHTS_PIECE_BYTES), 0)).toEqual([]);
    const end = receive(run, 'a', doneAt(10), 0);
    expect(startIn(end)).toEqual({ noWeights: 'b has left, a has left' });
  });

  it('when those that it got are of no use', () => {
    const run = runWith({ a: 0.5 });
    join(run);
    receive(run, 'a', pieceOf(0, 0), 0);
    const end = receive(run, 'z', receivedOf(0, WEIGHTS_PIECE_BYTES, 'too many'), 0);
    expect(sentBy(end)[0]).toEqual([1, askOf(0)]);
    expect(startIn(end)).toEqual({ noWeights: 'a has weights of no use: too many' });
  });

  it('when a lender does not answer, or the newcomer does not, or all of it takes too long', () => {
    const silent = runWith({ a: 0.5 });
    receive(silent, 'a', progressAt(3), 0);
    join(silent);
    expect(startIn(advance(silent, 3 * LEASE - 1))).toBeUndefined();
    expect(startIn(advance(silent, 3 * LEASE))).toEqual({ noWeights: 'a did not send its weights' });

    const mute = runWith({ a: 0.5 });
    join(mute);
    receive(mute, 'a', pieceOf(0, 0), 0);
    const reason = 'it did not say that a piece of the weights has arrived';
    expect(startIn(advance(mute, 3 * LEASE))).toEqual({ noWeights: reason });

    const slow = runWith({ a: 0.5 });
    join(slow);
    receive(slow, 'a', pieceOf(0, 0), 9.9 * LEASE);
    const tooLong = 'the weights of a were not here after 300 s';
    expect(startIn(advance(slow, 10 * LEASE))).toEqual({ noWeights: tooLong });
    // Both ends may still say what they were asked for.
    expect(receive(slow, 'z', receivedOf(0, WEIGHTS_PIECE_BYTES), 10 * LEASE)).toEqual([]);
  });

  it('when a piece was left out for want of room, here or on the way to it', () => {
    const dropped = runWith({ a: 0.5 });
    join(dropped);
    receive(dropped, 'a', pieceOf(0, 0), 0);
    dropHandedPiece(dropped, 'z');
    const reason = 'it reads too slowly: a piece of the weights was left out';
    expect(startIn(advance(dropped, 1))).toEqual({ noWeights: reason });

    const full = runWith({ a: 0.5 });
    join(full);
    const effects = receiveFrame(full, { id: 1, peer: 'a' }, pieceOf(0, 0), 0, { room: false });
    expect(startIn(effects)).toEqual({
      noWeights: 'the coordinator holds as much as it may: see --max-memory',
    });
    expect(closesOf(effects)).toEqual([]);
  });

  it('when it has asked again and again: others do not send weights without end', () => {
    const run = runWith({ a: 0.5 });
    for (let life = 0; life < 3; life++) {
      expect(sentBy(join(run, 0, NEWCOMER + life, `life-number-${life}`))).toContainEqual([
        1,
        askOf(life, 0),
      ]);
      receive(run, 'a', pieceOf(life, 0), 0);
    }
    const refused = join(run, 0, 20, 'life-number-4');
    expect(startIn(refused)).toEqual({ noWeights: 'it has asked 3 times within a lease' });
    expect(sentBy(join(run, LEASE, 21, 'life-number-5'))).toContainEqual([1, askOf(3, 0)]);
  });
});

describe('a lender', () => {
  it('stops when the newcomer leaves, and the piece that it was asked for is taken no notice of', () => {
    const run = runWith({ a: 0.5 });
    join(run);
    expect(sentBy(disconnected(run, 'z', NEWCOMER, 'gone', 0))).toEqual([[1, askOf(0)]]);
    expect(receive(run, 'a', pieceOf(0, 0), 0)).toEqual([]);
    expect(closesOf(receive(run, 'a', pieceOf(0, 0), 0))).toHaveLength(1);
    expect(run.handovers).toMatchObject({ open: new Map(), late: new Map() });
  });

  it('stops when another process takes the name of the newcomer', () => {
    const run = runWith({ a: 0.5 });
    join(run);
    const effects = hello(run, 11, helloOf('z', { incarnation: 'third-life' }), 0);
    expect(sentBy(effects)).toContainEqual([1, askOf(0)]);
  });

  it.each<[string, Piece]>([
    ['request: expected one that is open, got 1', pieceOf(1, 0)],
    ['offset: expected 0, got 262144', pieceOf(0, WEIGHTS_PIECE_BYTES)],
    ['data: expected 262144 bytes, got 0', pieceOf(0, 0, { data: new Uint8Array(0) })],
    ['data: expected 262144 bytes, got 262145', pieceOf(0, 0, { data: new Uint8Array(262_145) })],
    ['data: expected 2 bytes, got 3', pieceOf(0, 0, { size: 2, data: new Uint8Array(3) })],
  ])('is sent away for a piece that nobody asked for: %s', (reason, piece) => {
    const run = runWith({ a: 0.5 });
    join(run);
    expect(closesOf(receive(run, 'a', piece, 0))).toEqual([[1, 4007, `checkpoint.${reason}`]]);
  });

  it.each<[string, Partial<Piece>]>([
    ['step: expected 7, got 8', { step: 8 }],
    [`size: expected ${SIZE}, got ${SIZE + 1}`, { size: SIZE + 1 }],
  ])('is sent away when its pieces do not belong together: %s', (reason, changes) => {
    const run = runWith({ a: 0.5 });
    join(run);
    receive(run, 'a', pieceOf(0, 0), 0);
    receive(run, 'z', receivedOf(0, WEIGHTS_PIECE_BYTES), 0);
    const wrong = pieceOf(0, WEIGHTS_PIECE_BYTES, changes);
    expect(closesOf(receive(run, 'a', wrong, 0))).toEqual([[1, 4007, `checkpoint.${reason}`]]);
  });

  it('is the one that was asked, and sends each piece once', () => {
    const run = runWith({ a: 0.5, b: 0.4 });
    join(run);
    expect(closesOf(receive(run, 'b', pieceOf(0, 0), 0))).toHaveLength(1);
    receive(run, 'a', pieceOf(0, 0), 0);
    expect(closesOf(receive(run, 'a', pieceOf(0, 0), 0))).toHaveLength(1);
  });
});

describe('a newcomer', () => {
  it('is ready once', () => {
    const run = runWith({ a: 0.5 });
    join(run);
    expect(closesOf(receive(run, 'z', readyWith(), 0))).toEqual([
      [NEWCOMER, 4007, 'ready: expected no other one before the start that answers the first'],
    ]);
  });

  it('is none when it trains already', () => {
    const run = runWith({ a: 0.5, b: 0.4 });
    receive(run, 'b', readyWith({ lends: true, wantsWeights: true }), 0);
    expect(run.handovers.open.size).toBe(0);
    expect(run.members.get('b')!.state).toBe('training');
  });
});

describe('the word that a piece has arrived', () => {
  it.each<[string, number, number]>([
    [UNEXPECTED, 1, 0],
    ['received.bytes: expected 262144, got 5', 0, 5],
  ])('is malformed when it fits no piece: %s', (reason, request, bytes) => {
    const run = runWith({ a: 0.5 });
    join(run);
    receive(run, 'a', pieceOf(0, 0), 0);
    expect(closesOf(receive(run, 'z', receivedOf(request, bytes), 0))).toEqual([[NEWCOMER, 4007, reason]]);
  });

  it('is malformed of one that asked for nothing', () => {
    const run = runWith({ a: 0.5 });
    expect(closesOf(receive(run, 'a', receivedOf(0, 1), 0))).toEqual([[1, 4007, UNEXPECTED]]);
  });
});
