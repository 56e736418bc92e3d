import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FaultProxy, type Faults, startProxy } from './proxy.ts';

let server: Server;
let proxy: FaultProxy;
/** The two ends of a connection through the proxy. */
let peer: Socket;
let coordinator: Socket;

beforeEach(async () => {
  server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  proxy = await startProxy(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const accepted = once(server, 'connection');
  peer = connect(Number(new URL(proxy.url).port), '127.0.0.1');
  [coordinator] = await accepted;
  for (const socket of [peer, coordinator]) socket.on('error', () => {});
});
afterEach(async () => {
  peer.destroy();
  coordinator.destroy();
  await proxy.close();
  await new Promise((resolve) => server.close(resolve));
});

/** Resolves with the chunks that came when there are `length` bytes of them, and how long that took. */
function read(socket: Socket, length: number): Promise<{ chunks: Buffer[]; ms: number }> {
  const startedAt = performance.now();
  const chunks: Buffer[] = [];
  return new Promise((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      if (Buffer.concat(chunks).length >= length) resolve({ chunks, ms: performance.now() - startedAt });
    });
  });
}

/** Whether anything comes within a time. */
function silent(socket: Socket, ms: number): Promise<boolean> {
  return Promise.race([
    once(socket, 'data').then(() => false),
    new Promise<boolean>((resolve) => setTimeout(() => resolve(true), ms)),
  ]);
}

const PAYLOAD = Buffer.from(Uint8Array.from({ length: 2_000 }, (_, i) => i % 251));

describe('the proxy', () => {
  it.each<[string, Faults]>([
    ['nothing wrong', {}],
    ['jitter', { latencyMs: 1, jitterMs: 5 }],
    ['slices of up to 7 bytes', { slice: 7 }],
    ['a thin line', { bytesPerSecond: 40_000 }],
  ])('carries all bytes in order, both ways, with %s', async (_, faults) => {
    proxy.set('both', faults);
    const up = read(coordinator, PAYLOAD.length);
    const down = read(peer, PAYLOAD.length);
    for (let at = 0; at < PAYLOAD.length; at += 500) {
      peer.write(PAYLOAD.subarray(at, at + 500));
      coordinator.write(PAYLOAD.subarray(at, at + 500));
    }
    expect(Buffer.concat((await up).chunks).equals(PAYLOAD)).toBe(true);
    expect(Buffer.concat((await down).chunks).equals(PAYLOAD)).toBe(true);
  });

  it('delays by the latency, in the direction that it is told', async () => {
    proxy.set('up', { latencyMs: 150 });
    const up = read(coordinator, 1);
    const down = read(peer, 1);
    peer.write('x');
    coordinator.write('x');
    expect((await down).ms).toBeLessThan(140);
    expect((await up).ms).toBeGreaterThan(145);
  });

  it('keeps to the bandwidth', async () => {
    proxy.set('up', { bytesPerSecond: 10_000 });
    const up = read(coordinator, 2_000);
    peer.write(PAYLOAD);
    const { ms } = await up;
    expect(ms).toBeGreaterThan(140);
    expect(ms).toBeLessThan(1_000);
  });

  it('swallows everything but keeps the sockets open, and delivers it when that is over', async () => {
    proxy.set('up', { blackhole: true });
    const nothing = silent(coordinator, 100);
    peer.write('late');
    expect(await nothing).toBe(true);
    expect(coordinator.destroyed).toBe(false);
    const down = read(peer, 4);
    coordinator.write('down');
    expect(String((await down).chunks[0])).toBe('down');
    const up = read(coordinator, 4);
    proxy.set('up', {});
    expect(String((await up).chunks[0])).toBe('late');
  });

  it('does not let the end of a connection through a black hole either', async () => {
    proxy.set('up', { blackhole: true });
    const ended = once(coordinator, 'close');
    peer.destroy();
    const early = await Promise.race([
      ended.then(() => true),
      new Promise((resolve) => setTimeout(() => resolve(false), 100)),
    ]);
    expect(early).toBe(false);
    coordinator.resume();
    proxy.set('up', {});
    await ended;
  });

  it('slices: no write is longer', async () => {
    proxy.set('up', { slice: 3 });
    const up = read(coordinator, 200);
    peer.write(PAYLOAD.subarray(0, 200));
    // The receiver's system may join some; most arrive as they were written.
    expect((await up).chunks.length).toBeGreaterThan(20);
  });

  it('resets', async () => {
    const errors = Promise.all(
      [peer, coordinator].map((socket) => once(socket, 'error').then(([error]) => error.code)),
    );
    proxy.reset();
    expect(await errors).toEqual(['ECONNRESET', 'ECONNRESET']);
  });

  it('cuts after so many bytes', async () => {
    proxy.set('up', { cutAfter: 100 });
    const closed = once(coordinator, 'close');
    let came = 0;
    coordinator.on('data', (chunk: Buffer) => {
      came += chunk.length;
    });
    peer.write(PAYLOAD);
    await closed;
    expect(came).toBe(100);
  });

  it('closes slowly', async () => {
    proxy.set('up', { slowCloseMs: 150 });
    coordinator.resume();
    const startedAt = performance.now();
    peer.end();
    await once(coordinator, 'end');
    expect(performance.now() - startedAt).toBeGreaterThan(145);
  });
});
