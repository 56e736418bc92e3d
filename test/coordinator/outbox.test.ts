import { EventEmitter } from 'node:events';
import { describe, expect, it, vi } from 'vitest';
import type { WebSocket } from 'ws';
import { adoptConnection } from '../../coordinator/connections.ts';
import {
  createOutbox,
  dequeue,
  enqueue as enqueueFrame,
  MAX_QUEUED_BYTES,
  type Outbox,
} from '../../coordinator/outbox.ts';
import type { CoordinatorMessage } from '../../src/protocol/messages.ts';
import { decodeCoordinatorMessage, encodeMessage } from '../../src/protocol/wire.ts';
import { batchOf, tensorOf } from './support.ts';

const targetOf = (round: number): CoordinatorMessage => ({
  ...{ type: 'target', round, batch: batchOf(round), view: 'shared', teachers: 1, logits: tensorOf([0, 1]) },
});
const pieceOf = (bytes: number): CoordinatorMessage => ({
  ...{ type: 'checkpoint', peer: 'a', step: 1, offset: 0, size: bytes, data: new Uint8Array(bytes) },
});

const enqueue = (outbox: Outbox, message: CoordinatorMessage, underWayBytes: number) =>
  enqueueFrame(outbox, message, encodeMessage(message), underWayBytes);

function drain(outbox: Outbox): CoordinatorMessage[] {
  const messages: CoordinatorMessage[] = [];
  for (let frame = dequeue(outbox); frame; frame = dequeue(outbox)) {
    messages.push(decodeCoordinatorMessage(frame));
  }
  return messages;
}

describe('what waits for a peer', () => {
  it('keeps its order, and the count of its bytes', () => {
    const outbox = createOutbox();
    for (const message of [{ type: 'advance', round: 1 }, targetOf(2), { type: 'finished' }] as const) {
      expect(enqueue(outbox, message, 0)).toEqual({ kind: 'waits', replacedRound: null });
    }
    expect(outbox.bytes).toBe(outbox.waiting.reduce((sum, { frame }) => sum + frame.byteLength, 0));
    expect(drain(outbox)).toMatchObject([{ type: 'advance' }, { type: 'target' }, { type: 'finished' }]);
    expect(outbox.bytes).toBe(0);
  });

  it('has one target: the newest, after the answer to the round that it replaced', () => {
    const outbox = createOutbox();
    enqueue(outbox, targetOf(5), 0);
    expect(enqueue(outbox, targetOf(6), 0)).toEqual({ kind: 'waits', replacedRound: 5 });
    expect(enqueue(outbox, targetOf(8), 0)).toEqual({ kind: 'waits', replacedRound: 6 });
    const bytes = outbox.bytes;
    const messages = drain(outbox);
    expect(messages).toMatchObject([
      { type: 'noTarget', round: 5, reason: 'late' },
      { type: 'noTarget', round: 6, reason: 'late' },
      { type: 'target', round: 8 },
    ]);
    expect(bytes).toBe(messages.reduce((sum, message) => sum + encodeMessage(message).byteLength, 0));
    expect(outbox.bytes).toBe(0);
  });

  it('leaves out pieces of weights that do not fit, and has no room for anything else then', () => {
    const outbox = createOutbox();
    const piece = pieceOf(2 ** 20);
    const { byteLength } = encodeMessage(piece);
    const room = Math.floor(MAX_QUEUED_BYTES / byteLength);
    for (let i = 0; i < room - 1; i++) expect(enqueue(outbox, piece, byteLength).kind).toBe('waits');
    expect(enqueue(outbox, piece, byteLength)).toEqual({ kind: 'dropped' });
    expect(enqueue(outbox, { type: 'finished' }, byteLength).kind).toBe('waits');
    expect(enqueue(outbox, { type: 'finished' }, MAX_QUEUED_BYTES)).toEqual({ kind: 'overflow' });
    expect(outbox.bytes + byteLength).toBeLessThanOrEqual(MAX_QUEUED_BYTES);
  });
});

describe('a connection', () => {
  /** Of a network that takes a frame when it is told to. */
  function connectionAt(time: { ms: number }, bufferedAmount = 0) {
    const taken: (() => void)[] = [];
    const socket = Object.assign(new EventEmitter(), {
      ...{ readyState: 1, OPEN: 1, bufferedAmount, _receiver: {} },
      ...{ close: vi.fn(), terminate: vi.fn(), ping: vi.fn() },
      send: vi.fn((_frame: Uint8Array, done: () => void) => void taken.push(done)),
    });
    const events = {
      ...{ frameLimit: () => 0, message: vi.fn(), refused: vi.fn(), failed: vi.fn() },
      ...{ sent: vi.fn(), skipped: vi.fn(), closed: vi.fn() },
    };
    const connection = adoptConnection(1, socket as unknown as WebSocket, null, () => time.ms, events);
    return { socket, connection, events, take: () => taken.shift()!() };
  }

  it('has two frames under way, and sends the next one when the network has taken one', () => {
    const { connection, socket, events, take } = connectionAt({ ms: 0 });
    for (const round of [1, 2, 3, 4]) connection.send(targetOf(round));
    expect(socket.send).toHaveBeenCalledTimes(2);
    expect(events.skipped).toHaveBeenCalledExactlyOnceWith(connection, { round: 3 });
    take();
    take();
    take();
    take();
    const rounds = socket.send.mock.calls.map(([frame]) => decodeCoordinatorMessage(frame));
    expect(rounds).toMatchObject([{ round: 1 }, { round: 2 }, { round: 3, reason: 'late' }, { round: 4 }]);
    expect(events.sent).toHaveBeenCalledTimes(4);
  });

  it('sends all that waits before it ends', () => {
    const { connection, socket } = connectionAt({ ms: 0 });
    for (const round of [1, 2, 3]) connection.send({ type: 'advance', round });
    connection.close(1000, 'the run is over');
    expect(socket.send).toHaveBeenCalledTimes(3);
    expect(socket.close.mock.invocationCallOrder[0]).toBeGreaterThan(
      socket.send.mock.invocationCallOrder.at(-1)!,
    );
  });

  it('is cut with 4006 when too much waits', () => {
    const { connection, socket, events } = connectionAt({ ms: 0 }, MAX_QUEUED_BYTES - 10);
    connection.send({ type: 'finished' });
    expect(socket.send).not.toHaveBeenCalled();
    expect(socket.close).toHaveBeenCalledWith(4006, 'more than 67108864 bytes wait to be read');
    expect(socket.terminate).toHaveBeenCalledOnce();
    socket.emit('close', 1006, '');
    expect(events.closed).toHaveBeenCalledWith(connection, 4006, 'more than 67108864 bytes wait to be read');
  });

  it('is cut with 4006 when nothing is read for too long, and not while it goes on', () => {
    const time = { ms: 0 };
    const { connection, socket, take } = connectionAt(time, 64 * 1024);
    for (const round of [1, 2, 3]) connection.send({ type: 'advance', round });
    for (let i = 0; i < 2; i++) {
      time.ms += 10_500;
      connection.cutIfStuck(10_000);
      take();
    }
    // One second more for what is under way, at the slowest pace.
    time.ms += 11_000;
    connection.cutIfStuck(10_000);
    expect(socket.close).not.toHaveBeenCalled();
    time.ms += 1;
    connection.cutIfStuck(10_000);
    expect(socket.close).toHaveBeenCalledWith(4006, 'nothing was read for 11 s, and 65536 bytes wait');
    expect(socket.terminate).toHaveBeenCalledOnce();
  });

  it('is not cut when there is nothing to read', () => {
    const time = { ms: 0 };
    const { connection, socket, take } = connectionAt(time);
    connection.send({ type: 'advance', round: 1 });
    take();
    time.ms += 1e6;
    connection.cutIfStuck(10_000);
    connection.send({ type: 'advance', round: 2 });
    connection.cutIfStuck(10_000);
    expect(socket.close).not.toHaveBeenCalled();
  });
});
