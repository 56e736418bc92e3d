import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { CoordinatorMessage, MessageOf } from '../../src/protocol/messages.ts';
import { createPeer, createStarted, facts, letIn, reconnect } from './sessionPeer.ts';
import { START, WELCOME } from './support.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('a session that is to begin with other weights', () => {
  const piece: MessageOf<CoordinatorMessage, 'checkpoint'> = {
    ...{ type: 'checkpoint', peer: 'b', request: 1, step: 7, offset: 0, size: 2 },
    data: Uint8Array.of(1, 2),
  };
  const received = { type: 'received', request: 1, bytes: 2 } as const;
  const weights = { peer: 'b', step: 7, accuracy: 0.5 };

  function createNewcomer() {
    const peer = createPeer();
    void peer.session.join();
    peer.latest().open();
    peer.latest().say(WELCOME);
    const borrower = { state: '', take: vi.fn(() => received) };
    const lender = { asked: vi.fn(), forget: vi.fn() };
    const started = peer.session.ready(facts, 'continue', { borrower, lender });
    return { ...peer, borrower, lender, started };
  }
  const READY = { type: 'ready', ...facts, lends: true };

  it('asks for them, and answers each piece before the start', async () => {
    const peer = createNewcomer();
    peer.latest().say(piece);
    peer.latest().say({ ...START, step: 9, weights });
    expect(await peer.started).toMatchObject({ step: 9, weights });
    peer.latest().say(piece);
    expect(peer.latest().said.slice(1)).toEqual([{ ...READY, wantsWeights: true }, received]);
    expect(peer.borrower.take).toHaveBeenCalledExactlyOnceWith(piece);
  });

  it('asks again when the connection ends before that, and never after', () => {
    const peer = createNewcomer();
    reconnect(peer);
    peer.latest().open();
    peer.latest().say(WELCOME);
    expect(peer.latest().said[1]).toEqual({ ...READY, wantsWeights: true });
    peer.latest().say({ ...START, step: 9, weights });
    reconnect(peer);
    letIn(peer);
    expect(peer.latest().said[1]).toEqual({ ...READY, step: 9 });
  });

  it('takes its rounds from the first one where it got none', () => {
    const peer = createNewcomer();
    peer.latest().say({ ...START, noWeights: 'nobody has any' });
    reconnect(peer);
    letIn(peer);
    expect(peer.latest().said[1]).toEqual(READY);
  });

  it('passes on what others ask of it, until the connection ends', () => {
    const peer = createNewcomer();
    const asked = { type: 'sendWeights', request: 2, peer: 'c', offset: 0 } as const;
    peer.latest().say(START);
    peer.latest().say(asked);
    expect(peer.lender.asked).toHaveBeenCalledExactlyOnceWith(asked);
    expect(peer.lender.forget).not.toHaveBeenCalled();
    peer.latest().drop();
    expect(peer.lender.forget).toHaveBeenCalledOnce();
  });

  it('that lends nothing and wants nothing takes no notice of either', async () => {
    const peer = await createStarted();
    const said = peer.latest().said.length;
    peer.latest().say(piece);
    peer.latest().say({ type: 'sendWeights', request: 2, peer: 'c', offset: 0 });
    expect(peer.latest().said).toHaveLength(said);
  });
});
