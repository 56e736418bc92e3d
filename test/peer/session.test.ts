import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { CoordinatorMessage, MessageOf } from '../../src/protocol/messages.ts';
import {
  createPeer,
  createStarted,
  done,
  facts,
  progress,
  request,
  SHAPE,
  target,
  tensorOf,
} from './sessionPeer.ts';
import { START, WELCOME } from './support.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('a session', () => {
  it('joins, gets ready, starts, exchanges and finishes', async () => {
    const { session, latest } = createPeer();
    const joined = session.join();
    expect(latest().said).toEqual([]);
    latest().open();
    expect(latest().said).toEqual([expect.objectContaining({ type: 'hello', incarnation: 'incarnation' })]);
    latest().say(WELCOME);
    expect(await joined).toEqual(WELCOME);

    const started = session.ready(facts);
    expect(latest().said[1]).toEqual({ type: 'ready', ...facts });
    latest().say(START);
    expect(await started).toEqual(START);

    const exchanged = session.exchange(request, SHAPE);
    expect(latest().said[2]).toEqual({ type: 'logits', ...request });
    latest().say(target());
    expect(await exchanged).toEqual({
      kind: 'target',
      logits: Float32Array.of(0, -1, -2, 0),
      encodings: [],
      apart: null,
      teachers: 1,
    });

    session.report(progress);
    const finished = session.finish([done]);
    expect(latest().said.slice(3)).toEqual([progress, done]);
    latest().say({ type: 'finished' });
    await finished;
    expect(latest().closing?.code).toBe(1000);
    latest().drop(1000);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('gets no target, but the round to go on with, when it is late', async () => {
    const { session, latest } = await createStarted();
    const exchanged = session.exchange(request, SHAPE);
    latest().say({ type: 'noTarget', round: 4, reason: 'quorum', detail: '' });
    latest().say({ type: 'noTarget', round: 5, reason: 'late', detail: '', nextRound: 8 });
    expect(await exchanged).toEqual({ kind: 'none', reason: 'late', nextRound: 8 });
  });

  it('ignores a target for another round and takes the right one after it', async () => {
    const { session, latest } = await createStarted();
    const exchanged = session.exchange(request, SHAPE);
    latest().say(target({ round: 4, logits: tensorOf(0, 0, 0, 0) }));
    latest().say(target());
    expect(await exchanged).toMatchObject({ logits: Float32Array.of(0, -1, -2, 0) });
    latest().say(target());
  });

  it.each<[string, Partial<MessageOf<CoordinatorMessage, 'target'>>]>([
    ['other samples', { batch: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 9) }],
    ['another view', { view: 'own' }],
    ['another shape', { logits: { ...tensorOf(0, 0, 0, 0), shape: [1, 4] } }],
    ['NaN in it', { logits: tensorOf(0, Number.NaN, 0, 0) }],
    ['infinity in it', { logits: tensorOf(0, 0, 0, Infinity) }],
  ])('does not use a target with %s', async (_, changes) => {
    const { session, latest } = await createStarted();
    const exchanged = session.exchange(request, SHAPE);
    latest().say(target(changes));
    expect(await exchanged).toEqual({ kind: 'none', reason: expect.stringMatching(/^the target /) });
  });

  it('does not wait for a target once it was told to abandon', async () => {
    const { session, latest } = await createStarted();
    const pending = session.exchange(request, SHAPE);
    session.abandon();
    expect(await pending).toEqual({ kind: 'none', reason: 'interrupted', ended: true });

    // The others of the round still get theirs.
    const later = session.exchange({ ...request, round: 6 }, SHAPE);
    expect(await later).toEqual({ kind: 'none', reason: 'interrupted', ended: true });
    expect(latest().said.at(-1)).toMatchObject({ type: 'logits', round: 6 });
  });

  it('ends the wait for a target when it is closed, or the run is over', async () => {
    const closed = await createStarted();
    const first = closed.session.exchange(request, SHAPE);
    closed.session.close();
    expect(await first).toMatchObject({ kind: 'none' });

    const over = await createStarted();
    const second = over.session.exchange(request, SHAPE);
    over.latest().say({ type: 'finished' });
    over.latest().drop(1000);
    expect(await second).toMatchObject({ kind: 'none' });
  });
});

describe('a session that was closed', () => {
  it('stays closed, whatever still comes in', async () => {
    const peer = createPeer();
    void peer.session.join();
    peer.latest().open();
    peer.latest().say(WELCOME);
    void peer.session.ready(facts);
    peer.session.close();
    peer.latest().say(START);
    peer.latest().ping();
    peer.latest().drop();
    expect(vi.getTimerCount()).toBe(0);
    expect(peer.connections).toHaveLength(1);
  });

  it('does not wait for a coordinator that no longer answers', async () => {
    const peer = await createStarted();
    peer.session.close();
    expect(peer.latest().closing?.code).toBe(1000);
    vi.advanceTimersByTime(1_000);
    expect(peer.latest().terminated).toBe(true);
  });

  it('makes no further attempt', async () => {
    const peer = await createStarted();
    peer.latest().drop();
    peer.session.close();
    expect(vi.getTimerCount()).toBe(0);
  });
});
