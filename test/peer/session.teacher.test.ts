import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { CoordinatorMessage, MessageOf } from '../../src/protocol/messages.ts';
import {
  createStarted,
  done,
  letIn,
  PATIENCE_MS,
  type Peer,
  reconnect,
  request,
  SHAPE,
  target,
  tensorOf,
  types,
} from './sessionPeer.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const { logits: _, ...rows } = request;
const VECTOR = { layer: 'embedding', encoder: 'vector@1', ...tensorOf(5, 6, 7, 8) };
const SIGNS = {
  ...{ layer: 'stage1', encoder: 'signs@1', codec: 'bits', shape: [2, 1, 1, 3] },
  data: Uint8Array.of(0b101001),
};

/** What the coordinator's answer to one exchange comes to. */
async function answerTo(peer: Peer, message: CoordinatorMessage) {
  const exchanged = peer.session.exchange(rows, SHAPE);
  peer.latest().say(message);
  return exchanged;
}

describe('the answer to a teacher', () => {
  it.each<[string, { nextRound?: number }]>([
    ['lets it go on', {}],
    ['sends it to where the students are', { nextRound: 9 }],
  ])('%s', async (_, next) => {
    const peer = await createStarted();
    const answer = await answerTo(peer, { type: 'advance', round: 5, ...next });
    expect(answer).toEqual({ kind: 'none', reason: 'advance', ...next });
  });

  it('is not that of another round', async () => {
    const peer = await createStarted();
    const exchanged = peer.session.exchange(rows, SHAPE);
    peer.latest().say({ type: 'advance', round: 4, nextRound: 7 });
    peer.latest().say({ type: 'advance', round: 5 });
    expect(await exchanged).toEqual({ kind: 'none', reason: 'advance' });
    peer.latest().say({ type: 'advance', round: 5 });
  });
});

describe('a target with features', () => {
  it('has them as numbers, whatever their codec', async () => {
    const peer = await createStarted();
    const { logits: _, ...alone } = target();
    expect(await answerTo(peer, { ...alone, encodings: [VECTOR, SIGNS] })).toEqual({
      ...{ kind: 'target', logits: null, apart: null, teachers: 1 },
      encodings: [
        { layer: 'embedding', encoder: 'vector@1', shape: [2, 2], values: Float32Array.of(5, 6, 7, 8) },
        {
          layer: 'stage1',
          encoder: 'signs@1',
          shape: [2, 1, 1, 3],
          values: Float32Array.of(1, 0, 0, 1, 0, 1),
        },
      ],
    });
    expect(peer.latest().said.at(-1)).toEqual({ type: 'logits', ...rows });
  });

  it('has each of several teachers by itself', async () => {
    const peer = await createStarted();
    const { logits: _, ...alone } = target({ teachers: 2 });
    const apart = [{ logits: tensorOf(1, 2, 3, 4), encodings: [VECTOR] }, { logits: tensorOf(5, 6, 7, 8) }];
    expect(await answerTo(peer, { ...alone, apart })).toMatchObject({
      ...{ kind: 'target', logits: null, encodings: [], teachers: 2 },
      apart: [
        { logits: Float32Array.of(1, 2, 3, 4), encodings: [{ layer: 'embedding' }] },
        { logits: Float32Array.of(5, 6, 7, 8), encodings: [] },
      ],
    });
  });

  it.each<[string, Partial<MessageOf<CoordinatorMessage, 'target'>>, string]>([
    ['NaN in them', { encodings: [{ ...VECTOR, ...tensorOf(0, Number.NaN, 0, 0) }] }, 'not finite'],
    ['infinity in those of one teacher', { apart: [{ logits: tensorOf(0, 0, Infinity, 0) }] }, 'not finite'],
    [
      'rows of one teacher that are not asked for',
      { apart: [{ logits: { ...tensorOf(0, 0, 0, 0), shape: [4, 1] } }] },
      'other samples',
    ],
  ])('is not used with %s', async (_, changes, reason) => {
    const peer = await createStarted();
    expect(await answerTo(peer, target(changes))).toEqual({
      kind: 'none',
      reason: expect.stringContaining(reason),
    });
  });
});

describe('a session of a peer that waits', () => {
  /** Whether a promise has settled. */
  async function settled(promise: Promise<unknown>): Promise<boolean> {
    const pending = Symbol();
    return (await Promise.race([promise, Promise.resolve(pending)])) !== pending;
  }

  it('is online when it has started again, not before', async () => {
    const peer = await createStarted();
    expect(await settled(peer.session.online())).toBe(true);
    reconnect(peer);
    const online = peer.session.online();
    peer.latest().open();
    expect(await settled(online)).toBe(false);
    letIn(peer);
    await online;
    expect(peer.session.isOver()).toBe(false);
  });

  it('hands in the predictions of a teacher again after a reconnect, and goes on', async () => {
    const peer = await createStarted();
    const predictions = {
      type: 'predictions',
      offset: 0,
      labels: new Uint8Array(4),
      ...tensorOf(1, 2, 3, 4),
    } as const;
    void peer.session.finish([predictions]);
    reconnect(peer);
    letIn(peer);
    expect(types(peer.latest().said)).toEqual(['hello', 'ready', 'predictions']);
    expect(await answerTo(peer, { type: 'advance', round: 5 })).toMatchObject({ reason: 'advance' });
  });

  it.each<[string, (peer: Peer) => void]>([
    ['the run is over', ({ latest }) => latest().say({ type: 'finished' })],
    ['it was refused', ({ latest }) => latest().drop(4003, 'other data')],
    [
      'nobody can be reached any more',
      (peer) => {
        peer.latest().drop();
        for (let passed = 0; passed < 2 * PATIENCE_MS; passed += 1_000) {
          vi.advanceTimersByTime(1_000);
          if (!peer.session.isOver()) peer.latest().drop(1006, '', new Error('connect ECONNREFUSED'));
        }
      },
    ],
  ])('is over when %s, and keeps nobody waiting', async (_, end) => {
    const peer = await createStarted();
    const finished = peer.session.finish([done]).catch(() => {});
    const exchanged = peer.session.exchange(rows, SHAPE);
    expect(peer.session.isOver()).toBe(false);
    end(peer);
    expect(peer.session.isOver()).toBe(true);
    expect(await exchanged).toMatchObject({ kind: 'none' });
    await peer.session.online();
    await finished;
    expect(await peer.session.exchange(rows, SHAPE)).toEqual({ kind: 'none', reason: 'disconnected' });
  });
});

describe('weights of other peers', () => {
  it('are told to who wants them, those that came before too', async () => {
    const peer = await createStarted();
    const piece = (offset: number) =>
      ({ type: 'checkpoint', peer: 'mlp-2', step: 3, offset, size: 4, data: Uint8Array.of(1, 2) }) as const;
    peer.latest().say(piece(0));
    const told: number[] = [];
    peer.session.onCheckpoint(({ offset }) => told.push(offset));
    peer.latest().say(piece(2));
    expect(told).toEqual([0, 2]);
  });
});
