import { describe, expect, it } from 'vitest';
import { disconnected, hello, receive } from '../../coordinator/run.ts';
import type { MessageOf, PeerMessage } from '../../src/protocol/messages.ts';
import { closesOf, doneAt, emptyRun, helloOf, sentBy, settingsWith, startedRun } from './support.ts';

type Checkpoint = MessageOf<PeerMessage, 'checkpoint'>;

const settings = settingsWith({ mode: 'checkpoint' });
const pieceOf = (changes: Partial<Checkpoint> = {}): Checkpoint => ({
  ...{ type: 'checkpoint', step: 200, offset: 2, size: 8, data: Uint8Array.of(1, 2, 3) },
  ...changes,
});

describe('a piece of a checkpoint', () => {
  it('goes to all other students as it is, whatever becomes of its frame', () => {
    const run = startedRun(['a', 'b', 'c'], settings);
    const piece = pieceOf();
    const effects = receive(run, 'b', piece, 0);
    piece.data.fill(9);
    const passedOn = { ...pieceOf(), peer: 'b' };
    expect(sentBy(effects)).toEqual([
      [1, passedOn],
      [3, passedOn],
    ]);
  });

  it('goes to nobody that is away, done, or back and not ready yet', () => {
    const run = startedRun(['a', 'b', 'c', 'd'], settings);
    disconnected(run, 'b', 2, 'gone', 0);
    receive(run, 'c', doneAt(10), 0);
    disconnected(run, 'd', 4, 'gone', 0);
    hello(run, 5, helloOf('d'), 0);
    expect(receive(run, 'a', pieceOf(), 0)).toEqual([]);
  });

  it.each([
    [{ data: new Uint8Array(2 ** 20 + 1), size: 2 ** 21 }, 2 ** 21],
    [{ offset: 6 }, 8],
  ])('is malformed when it is too large (%#)', (changes, size) => {
    const run = startedRun(['a', 'b'], settings);
    const reason = `checkpoint.data: expected at most 1048576 bytes within ${size}`;
    expect(closesOf(receive(run, 'a', pieceOf(changes), 0))).toEqual([[1, 4007, reason]]);
  });

  it('is malformed before the start, and where predictions are exchanged', () => {
    const waiting = emptyRun(['a', 'b'], settings);
    hello(waiting, 1, helloOf('a'), 0);
    expect(closesOf(receive(waiting, 'a', pieceOf(), 0))).toEqual([
      [1, 4007, 'checkpoint: expected after start'],
    ]);
    const lockstep = startedRun(['a', 'b']);
    expect(closesOf(receive(lockstep, 'a', pieceOf(), 0))).toEqual([
      [1, 4007, 'checkpoint: expected none, as this run exchanges predictions'],
    ]);
  });
});
