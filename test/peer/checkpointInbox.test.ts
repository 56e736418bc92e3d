import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type CheckpointChunk, createCheckpointInbox } from '../../peer/checkpointInbox.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const FILE = Uint8Array.of(1, 2, 3, 4, 5);
const chunkOf = (offset: number, changes: Partial<CheckpointChunk> = {}): CheckpointChunk => ({
  ...{ peer: 'b', step: 10, offset, size: FILE.length, data: FILE.subarray(offset, offset + 2) },
  ...changes,
});
const whole = (step: number, peer = 'b'): CheckpointChunk => chunkOf(0, { peer, step, data: FILE });
const inboxFor = (...peers: string[]) =>
  createCheckpointInbox(new Map(peers.map((peer) => [peer, FILE.length])));

describe('the checkpoints of other peers', () => {
  it('are put together from their pieces, whatever becomes of the frames that these came in', async () => {
    const inbox = inboxFor('b');
    for (const offset of [0, 2, 4]) {
      const data = FILE.slice(offset, offset + 2);
      inbox.receive(chunkOf(offset, { data }));
      data.fill(9);
    }
    expect(await inbox.take('b', 10, 0)).toMatchObject({ step: 10, bytes: FILE });
  });

  it('are those of each peer and step by itself, the pieces of several peers mixed', async () => {
    const inbox = inboxFor('b', 'c');
    for (const offset of [0, 2, 4])
      for (const peer of ['b', 'c']) inbox.receive(chunkOf(offset, { peer, step: peer === 'b' ? 10 : 20 }));
    expect(await inbox.take('b', 10, 0)).toMatchObject({ step: 10 });
    expect(await inbox.take('c', 20, 0)).toMatchObject({ step: 20 });
  });

  it('are waited for, by several at once', async () => {
    const inbox = inboxFor('b');
    const waiting = [inbox.take('b', 10, 1000), inbox.take('b', 10, 1000), inbox.take('b', 20, 1000)];
    await vi.advanceTimersByTimeAsync(999);
    inbox.receive(whole(10));
    expect(await waiting[0]).toMatchObject({ step: 10, bytes: FILE });
    expect(await waiting[1]).toMatchObject({ step: 10 });
    await vi.advanceTimersByTimeAsync(1);
    expect(await waiting[2]).toMatchObject({ step: 10 });
    expect(vi.getTimerCount()).toBe(0);
  });

  it('are waited for in vain once, and not again until another one comes from that peer', async () => {
    const inbox = inboxFor('b', 'c');
    const first = inbox.take('b', 10, 1000);
    await vi.advanceTimersByTimeAsync(1000);
    expect(await first).toBeNull();
    expect(await inbox.take('b', 20, 1000)).toBeNull();
    inbox.receive(whole(20, 'c'));
    expect(await inbox.take('b', 30, 1000)).toBeNull();
    inbox.receive(whole(10));
    const again = inbox.take('b', 30, 1000);
    expect(vi.getTimerCount()).toBe(1);
    inbox.receive(whole(30));
    expect(await again).toMatchObject({ step: 30 });
  });

  it('are the newest up to that step of a peer that is slower, and the next one of a peer that is ahead', async () => {
    const inbox = inboxFor('b');
    for (const step of [10, 20]) inbox.receive(whole(step));
    const late = inbox.take('b', 30, 1000);
    await vi.advanceTimersByTimeAsync(1000);
    expect(await late).toMatchObject({ step: 20 });
    for (const step of [40, 50, 60]) inbox.receive(whole(step));
    expect(await inbox.take('b', 30, 1000)).toMatchObject({ step: 40 });
  });

  it.each<[string, readonly CheckpointChunk[]]>([
    ['a piece is missing', [chunkOf(0), chunkOf(4)]],
    ['the first piece is missing', [chunkOf(2), chunkOf(4)]],
    ['a piece comes twice', [chunkOf(0), chunkOf(0), chunkOf(2)]],
    ['a piece goes beyond the end', [chunkOf(0), chunkOf(2), chunkOf(4, { data: FILE })]],
    ['another one begins in the midst of it', [chunkOf(0), chunkOf(0, { step: 11 }), chunkOf(2), chunkOf(4)]],
    ['its size changes', [chunkOf(0), chunkOf(2, { size: 4 }), chunkOf(4)]],
    ['it is larger than that peer’s network', [chunkOf(0, { size: 6, data: new Uint8Array(6) })]],
    ['it is of a peer that is none of the run', [whole(10, 'z')]],
  ])('are none when %s', async (_, chunks) => {
    const inbox = inboxFor('b');
    for (const chunk of chunks) inbox.receive(chunk);
    const taken = Promise.all([inbox.take('b', 10, 1), inbox.take('z', 10, 1)]);
    await vi.advanceTimersByTimeAsync(1);
    expect(await taken).toEqual([null, null]);
  });

  it('may come whole after they came in part', async () => {
    const inbox = inboxFor('b');
    for (const offset of [0, 4, 0, 2, 4]) inbox.receive(chunkOf(offset));
    expect(await inbox.take('b', 10, 0)).toMatchObject({ bytes: FILE });
  });

  it('are kept for three steps of each peer, the newest ones', async () => {
    const inbox = inboxFor('b', 'c');
    inbox.receive(whole(10, 'c'));
    for (const step of [10, 20, 30, 40]) inbox.receive(whole(step));
    expect(await inbox.take('b', 10, 0)).toMatchObject({ step: 20 });
    for (const step of [20, 30, 40]) expect(await inbox.take('b', step, 0)).toMatchObject({ step });
    expect(await inbox.take('c', 10, 0)).toMatchObject({ step: 10 });
  });
});
