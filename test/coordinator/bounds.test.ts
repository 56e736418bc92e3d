import type { Socket } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { frameLimitOf } from '../../coordinator/frames.ts';
import { hello, receive } from '../../coordinator/run.ts';
import { createTokenBucket, takeToken } from '../../coordinator/tokenBucket.ts';
import { summariseTraffic } from '../../coordinator/traffic.ts';
import { encoders, encodingShape } from '../../src/distill/encoders/index.ts';
import { MAX_FRAME_BYTES } from '../../src/protocol/limits.ts';
import { type Client, connect, endAll, join, serve } from './sockets.ts';
import {
  doneAt,
  emptyRun,
  helloOf,
  logitsOf,
  predictionsOf,
  progressAt,
  readyOf,
  readyWith,
  settingsWith,
  WANTS,
} from './support.ts';

afterEach(async () => {
  vi.useRealTimers();
  await endAll();
});

function stopTime(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
}

/** The head of a masked frame that announces so many bytes, and none of them. */
function announce({ socket }: Client, bytes: number): void {
  const head = Buffer.alloc(14);
  head.writeUInt16BE(0x82ff);
  head.writeBigUInt64BE(BigInt(bytes), 2);
  (socket as unknown as { readonly _socket: Socket })._socket.write(head);
}

describe('connections', () => {
  it('above the limit are turned away with 503 until there is room', async () => {
    const { server, run } = await serve(emptyRun(['a', 'b']), { maxPeers: 1 });
    const a = await join(server, 'a');
    await expect(connect(server)).rejects.toThrow('Unexpected server response: 503');
    a.socket.close();
    await vi.waitUntil(() => run.members.size === 0);
    await join(server, 'b');
  });

  it('without a hello are 64 beside the places of the run at most; peers that are in do not count', async () => {
    stopTime();
    const { server } = await serve(emptyRun(['a', 'b']));
    await join(server, 'a');
    const strangers = await Promise.all(Array.from({ length: 66 }, () => connect(server)));
    await expect(connect(server)).rejects.toThrow('Unexpected server response: 503');
    vi.advanceTimersByTime(2_000);
    await Promise.all(strangers.map(({ closed }) => closed));
    await join(server, 'b');
  });

  it('of strangers leave some lines in the events, not one each', async () => {
    stopTime();
    const { server, events } = await serve(emptyRun(['a']));
    for (let i = 0; i < 30; i++)
      expect((await (await connect(server, {}, undefined, [])).closed)[0]).toBe(4002);
    await vi.waitUntil(() => events.length >= 20);
    expect(events).toEqual(Array(20).fill('refused'));
  });
});

describe('a frame', () => {
  it('of a stranger is refused by the size that it announces, before anything of it came', async () => {
    const { server, run } = await serve(emptyRun(['a']));
    const stranger = await connect(server);
    announce(stranger, 64 * 1024 + 1);
    expect((await stranger.closed)[0]).toBe(1009);
    await vi.waitUntil(() => run.lobby.received === 1);
    expect(run.lobby.refused.tooBig).toBe(1);
  });

  it('of a peer is gathered up to the largest there is', async () => {
    const { server } = await serve(emptyRun(['a', 'b']));
    const [a, b] = [await join(server, 'a'), await join(server, 'b')];
    announce(a, MAX_FRAME_BYTES);
    announce(b, MAX_FRAME_BYTES + 1);
    expect((await b.closed)[0]).toBe(1009);
    expect(a.socket.readyState).toBe(a.socket.OPEN);
  });

  it('of a teacher has room for what its encoders make, and not for much more', () => {
    const layers = { stage1: [8, 8, 16], stage2: [4, 4, 32], embedding: [64] };
    const settings = settingsWith();
    settings.data.batchSize = 64;
    for (const encoder of Object.keys(encoders)) {
      const layer = encoder.startsWith('flow') ? 'stage1+stage2' : 'stage1';
      const vector = ['vector@1', 'gram@1', 'cosine@1'].includes(encoder);
      const encodings = [{ layer: vector ? 'embedding' : layer, encoder }];
      const ready = readyWith({ wants: { ...WANTS, encodings }, layers });
      const run = emptyRun(['a', 't'], settings);
      for (const [i, name] of ['a', 't'].entries()) {
        hello(run, i + 1, helloOf(name), 0);
        receive(run, name, readyOf(name, ready), 0);
      }
      const bytes = 4 * encodingShape(encodings[0]!, layers, 64).reduce((product, size) => product * size, 1);
      expect(frameLimitOf(run, 't'), encoder).toBeGreaterThan(bytes + 2048);
      expect(frameLimitOf(run, 't'), encoder).toBeLessThan(2 ** 20 + 2 * 64 * 8 * 8 * 16 * 4);
      // A student that teaches nobody sends no features.
      expect(frameLimitOf(run, 'a')).toBe(2048 + 2 ** 20);
    }
  });
});

describe('messages', () => {
  it('that come too fast, pings among them, end the connection with 4010', async () => {
    stopTime();
    const { server, run } = await serve(emptyRun(['a', 'b']));
    const [a, b] = [await join(server, 'a'), await join(server, 'b')];
    for (const client of [a, b]) client.send(readyWith());
    for (const client of [a, b]) await client.next();
    for (let i = 0; i < 50; i++) a.socket.ping();
    for (let i = 0; i < 11_000; i++) a.send(progressAt(1));
    expect(await a.closed).toEqual([4010, 'more than 10000 messages at once and 5000 a second']);
    await b.settled();
    const { accepted, refused } = run.members.get('a')!.traffic.frames;
    // But for its hello and its ready.
    expect([accepted, refused.rateLimit]).toEqual([10_000 - 50 - 2, 1]);
  });

  it('may come at the pace of the limit for ever', () => {
    const rate = { burst: 10, perSecond: 4 };
    const bucket = createTokenBucket(rate, 0);
    const taken = (nowMs: number): number => {
      let times = 0;
      while (takeToken(bucket, rate, nowMs)) times += 1;
      return times;
    };
    expect([0, 0, 200, 250, 1_250, 1e6].map(taken)).toEqual([10, 0, 0, 1, 4, 10]);
  });

  it('at which the coordinator fails end their connection with 1011, and nothing else', async () => {
    const { server, run, records } = await serve(emptyRun(['a', 'b']));
    const [a, b] = [await join(server, 'a'), await join(server, 'b')];
    for (const client of [a, b]) client.send(readyWith());
    for (const client of [a, b]) await client.next();
    run.predictions.get = () => {
      throw new Error('broken on purpose');
    };
    a.send(predictionsOf([0, 1], [1]));
    expect(await a.closed).toEqual([1011, 'the coordinator failed at a message; its log says why']);
    b.send(progressAt(1));
    await b.settled();
    expect(records).toContainEqual({ event: 'failed', peer: 'a', reason: 'broken on purpose' });
    expect(run.members.get('a')!.traffic.frames.refused.internal).toBe(1);
    expect(run.members.get('b')).toMatchObject({ connected: true, progress: { step: 1 } });
  });
});

describe('the memory for what peers have sent', () => {
  it('is not exceeded: contributions are refused, in words, and nothing else is', async () => {
    const { server, run } = await serve(emptyRun(['a', 'b']), { maxMemoryBytes: 100 });
    const [a, b] = [await join(server, 'a'), await join(server, 'b')];
    for (const client of [a, b]) client.send(readyWith());
    for (const client of [a, b]) await client.next();
    a.send(logitsOf(0));
    const detail = 'the coordinator holds as much as it may: see --max-memory';
    expect(await a.next()).toEqual({ type: 'noTarget', round: 0, reason: 'refused', detail });
    expect(run.rounds.open.size).toBe(0);
    for (const client of [a, b]) client.send(doneAt(1));
    expect((await server.finished).peers.map(({ outcome }) => outcome)).toEqual(['finished', 'finished']);
  });

  it('is there again when rounds close', async () => {
    const { server, run } = await serve(emptyRun(['a', 'b']), { maxMemoryBytes: 1_000 });
    const clients = [await join(server, 'a'), await join(server, 'b')];
    for (const client of clients) client.send(readyWith());
    for (const client of clients) await client.next();
    for (let round = 0; round < 20; round++) {
      for (const client of clients) client.send(logitsOf(round));
      for (const client of clients) expect(await client.next()).toMatchObject({ type: 'target', round });
    }
    expect(run.committed).toBe(20);
  });
});

describe('what comes over real connections', () => {
  it('is counted in full, whatever becomes of it', async () => {
    const { server, run } = await serve(emptyRun(['a', 'b']));
    const [a, b] = [await join(server, 'a'), await join(server, 'b')];
    const stranger = await connect(server);
    for (const client of [a, b]) client.send(readyWith());
    for (const client of [a, b]) await client.next();
    stranger.send('text');
    await stranger.closed;
    for (const round of [0, 1]) for (const client of [a, b]) client.send(logitsOf(round));
    for (const client of [a, b]) await client.settled();
    a.send(logitsOf(0));
    b.send(logitsOf(2, [Number.NaN, 0]));
    b.send(logitsOf(5));
    await b.settled();
    a.send(Uint8Array.of(0x80));
    a.send(progressAt(1));
    a.send(progressAt(2));
    await a.closed;
    await b.settled();
    const { frames, contributions, answers } = summariseTraffic(run);
    // 2 hellos, 2 readys, 1 text; 4 + 3 logits; what is not a message, and what came after it.
    expect(frames).toEqual({
      ...{ received: 2 + 2 + 1 + 7 + 3, accepted: 2 + 2 + 7 },
      refused: { textFrame: 1, malformed: 1, afterClose: 2 },
    });
    expect(contributions).toEqual({
      ...{ received: 7, committed: 5, open: 0 },
      unused: { recalled: 1, refused: 1 },
    });
    expect(answers).toEqual({ targets: 5, noTargets: 2, advances: 0, undelivered: 0, replaced: 0 });
  });
});
