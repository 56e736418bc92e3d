import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { createRandom, type Random } from '../../src/random.ts';

/** What goes wrong in one direction of a connection; nothing by default. */
export interface Faults {
  /** Time on the way in milliseconds, and up to how much more of it a chunk takes by chance. */
  readonly latencyMs?: number;
  readonly jitterMs?: number;
  readonly bytesPerSecond?: number;
  /** Nothing arrives, not even the end; what was under way arrives once this is over, as TCP would send it again. */
  readonly blackhole?: boolean;
  /** Time from the end of one side to the end of the other. */
  readonly slowCloseMs?: number;
  /** Bytes arrive in writes of 1 to so many. */
  readonly slice?: number;
  /** The connection is cut once so many bytes of it have passed in this direction. */
  readonly cutAfter?: number;
}

/** `up`: from the peer to the coordinator. */
export type Direction = 'up' | 'down';

/** A TCP relay on a free port of this machine, with faults that can be switched while it runs. */
export interface FaultProxy {
  /** Such as `ws://127.0.0.1:40123`. */
  readonly url: string;
  /** Replaces the faults of a direction, for open connections and new ones. */
  set(direction: Direction | 'both', faults: Faults): void;
  /** Ends all connections with RST. */
  reset(): void;
  close(): Promise<void>;
}

/** Bytes that are held on the way before the sender is made to wait. */
const MOST_HELD = 2 ** 20;

/** @param target such as `ws://127.0.0.1:7070` */
export async function startProxy(target: string, seed = 0): Promise<FaultProxy> {
  const { hostname, port } = new URL(target);
  const faults: Record<Direction, Faults> = { up: {}, down: {} };
  const open = new Set<Socket>();
  const sleepers = new Set<() => void>();
  const wake = (): void => {
    for (const resume of sleepers) resume();
    sleepers.clear();
  };
  const until = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(done, Math.min(ms, 2 ** 31 - 1));
      function done(): void {
        clearTimeout(timer);
        sleepers.delete(done);
        resolve();
      }
      sleepers.add(done);
    });
  let connections = 0;
  const server = createServer({ allowHalfOpen: true }, (peer) => {
    const coordinator = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
    const id = connections++;
    for (const socket of [peer, coordinator]) {
      socket.setNoDelay(true);
      open.add(socket);
      // A broken connection: `close` follows, and is passed on.
      socket.on('error', () => {});
      socket.on('close', () => open.delete(socket));
    }
    const on = (direction: Direction) => ({
      faults: () => faults[direction],
      random: createRandom(seed, 'proxy', direction, id),
      until,
    });
    relay(peer, coordinator, on('up'));
    relay(coordinator, peer, on('down'));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    set(direction, next) {
      if (direction !== 'down') faults.up = next;
      if (direction !== 'up') faults.down = next;
      wake();
    },
    reset() {
      for (const socket of open) socket.resetAndDestroy();
    },
    async close() {
      for (const socket of open) socket.destroy();
      wake();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface Way {
  readonly faults: () => Faults;
  readonly random: Random;
  /** Resolves after the time, or when the faults have changed. */
  readonly until: (ms: number) => Promise<void>;
}

/** Carries one direction of a connection, in order, with what is wrong with it at the moment. */
function relay(from: Socket, to: Socket, { faults, random, until }: Way): void {
  const held: { bytes: Buffer; dueMs: number }[] = [];
  let heldBytes = 0;
  let passed = 0;
  let lastDueMs = 0;
  let end: 'open' | 'ended' | 'broken' = 'open';
  let pumping = false;

  const pump = async (): Promise<void> => {
    if (pumping) return;
    pumping = true;
    while (!to.destroyed) {
      if (faults().blackhole) {
        await until(Number.POSITIVE_INFINITY);
        continue;
      }
      const next = held[0];
      if (!next) break;
      const waitMs = next.dueMs - performance.now();
      if (waitMs > 0) await until(waitMs);
      else await forward(next);
    }
    if (end !== 'open' && held.length === 0) await finish();
    pumping = false;
  };

  const forward = async (chunk: { bytes: Buffer; dueMs: number }): Promise<void> => {
    const { slice, bytesPerSecond, cutAfter } = faults();
    // On a thin line, so little at a time that the rate is even.
    const most = slice ? 1 + random.below(slice) : bytesPerSecond ? Math.ceil(bytesPerSecond / 20) : Infinity;
    const left = cutAfter === undefined ? Infinity : cutAfter - passed;
    const piece = chunk.bytes.subarray(0, Math.min(most, left));
    chunk.bytes = chunk.bytes.subarray(piece.length);
    heldBytes -= piece.length;
    passed += piece.length;
    if (chunk.bytes.length === 0) held.shift();
    const flowing = to.write(piece);
    if (passed >= (cutAfter ?? Infinity)) {
      from.destroy();
      to.destroy();
      return;
    }
    if (heldBytes < MOST_HELD) from.resume();
    if (bytesPerSecond) await until((piece.length / bytesPerSecond) * 1000);
    else if (!flowing) await drained(to);
    else if (slice) await turn();
  };

  const finish = async (): Promise<void> => {
    const { slowCloseMs = 0 } = faults();
    if (slowCloseMs > 0) await until(slowCloseMs);
    if (end === 'broken') to.destroy();
    else to.end();
  };

  from.on('data', (bytes: Buffer) => {
    const { latencyMs = 0, jitterMs = 0 } = faults();
    lastDueMs = Math.max(lastDueMs, performance.now() + latencyMs + jitterMs * random.uniform());
    held.push({ bytes, dueMs: lastDueMs });
    heldBytes += bytes.length;
    if (heldBytes >= MOST_HELD) from.pause();
    void pump();
  });
  from.on('end', () => {
    if (end === 'open') end = 'ended';
    void pump();
  });
  from.on('close', () => {
    end = 'broken';
    void pump();
  });
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off('drain', done);
      socket.off('close', done);
      resolve();
    };
    socket.on('drain', done);
    socket.on('close', done);
  });
}
