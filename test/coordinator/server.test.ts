import { once } from 'node:events';
import { request } from 'node:http';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import { startServer } from '../../coordinator/server.ts';
import { CodistillError, ExitCode } from '../../src/errors.ts';
import { createLogger } from '../../src/logger.ts';
import { endAll, join, serve } from './sockets.ts';
import {
  doneAt,
  emptyRun,
  logitsOf,
  predictionsOf,
  progressAt,
  readyWith,
  settingsWith,
  startOf,
} from './support.ts';

afterEach(async () => {
  vi.useRealTimers();
  await endAll();
});

/** Makes time stand still for the coordinator, but not for the sockets. */
function stopTime(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
}

async function ask(url: string, path: string, method = 'GET') {
  const { port } = new URL(url);
  const asked = request({ host: '127.0.0.1', port, path, method, agent: false });
  asked.end();
  const [response] = await once(asked, 'response');
  let text = '';
  for await (const chunk of response) text += chunk;
  return { status: response.statusCode, body: JSON.parse(text) };
}

describe('over HTTP, the server', () => {
  it('tells how the run goes at /status.json, and that it is alive at /healthz', async () => {
    const { server } = await serve(emptyRun(['a']));
    expect(await ask(server.url, '/healthz')).toEqual({ status: 200, body: { ok: true } });
    const { status, body } = await ask(server.url, '/status.json?now');
    expect(status).toBe(200);
    expect(body).toMatchObject({ run: 'run', phase: 'waiting', peers: [], rounds: { committed: 0 } });
  });

  it('knows nothing else', async () => {
    const { server } = await serve(emptyRun(['a']));
    expect(await ask(server.url, '/')).toMatchObject({ status: 404 });
    expect(await ask(server.url, '/healthz', 'POST')).toMatchObject({ status: 405 });
  });

  it('outlives addresses that are none', async () => {
    const { server } = await serve(emptyRun(['a']));
    for (const path of ['//', 'http://[', '/%']) {
      expect(await ask(server.url, path)).toMatchObject({ status: 404 });
    }
    for (const path of ['//', '/wss', '/ws/x']) {
      const socket = new WebSocket(`${server.url.replace('http', 'ws')}${path}`);
      const [error] = await once(socket, 'error');
      expect(error).toMatchObject({ message: 'Unexpected server response: 400' });
    }
    expect(await ask(server.url, '/healthz')).toMatchObject({ status: 200 });
  });
});

describe('an address that is taken', () => {
  it('is an error of its own, which says what to do', async () => {
    const { server } = await serve(emptyRun(['a']));
    const port = Number(new URL(server.url).port);
    const second = startServer({
      ...{ run: emptyRun(['a']), host: '127.0.0.1', port, tokens: null, tls: null, summaryFile: () => null },
      recorder: { event: () => {}, metrics: () => {}, close: async () => {} },
      logger: createLogger('test', 'silent'),
    });
    await expect(second).rejects.toMatchObject({
      message: `Could not listen on 127.0.0.1:${port}: another program listens there; choose another --port, or 0 for a free one.`,
      exitCode: ExitCode.listen,
    });
    await expect(second).rejects.toBeInstanceOf(CodistillError);
  });
});

describe('a run', () => {
  it('goes from hello to finished, and counts every byte on the way', async () => {
    const { server, events } = await serve(emptyRun(['a', 'b']));
    const clients = [await join(server, 'a'), await join(server, 'b')];
    for (const message of [readyWith(), logitsOf(0), progressAt(1), predictionsOf([0, 1], [1]), doneAt(1)]) {
      for (const client of clients) {
        client.send(message);
        await client.settled();
      }
    }
    for (const [i, client] of clients.entries()) {
      expect(await client.next()).toEqual(startOf(['a', 'b'], ['a', 'b'][i]!));
      expect(await client.next()).toMatchObject({ type: 'target', round: 0, teachers: 1 });
    }
    const { peers, interrupted, exchange } = await server.finished;
    expect([interrupted, exchange.rounds]).toEqual([false, 1]);
    expect(peers.map(({ bytesUp, bytesDown }) => ({ up: bytesUp, down: bytesDown }))).toEqual(
      clients.map(({ bytes }) => bytes),
    );
    for (const client of clients) expect(await client.next()).toEqual({ type: 'finished' });
    expect(events).toEqual(['joined a', 'joined b', 'started', 'done a', 'done b']);
  });

  it('goes on without a peer whose connection breaks', async () => {
    const { server, run } = await serve(emptyRun(['a', 'b']));
    const [a, b] = [await join(server, 'a'), await join(server, 'b')];
    for (const client of [a, b]) client.send(readyWith());
    expect(await a.next()).toEqual(startOf(['a', 'b'], 'a'));
    expect(await b.next()).toEqual(startOf(['a', 'b'], 'b'));
    a.send(logitsOf(0));
    b.socket.terminate();
    expect(await a.next()).toMatchObject({ type: 'noTarget', round: 0, reason: 'noTeachers' });
    expect(run.members.get('b')).toMatchObject({ connected: false, state: 'training' });
  });

  it('that cannot be saved is a failure, but over for its peers all the same', async () => {
    const full = new Error('no space left');
    const { server } = await serve(emptyRun(['a']), { save: () => Promise.reject(full) });
    const client = await join(server, 'a');
    client.send(readyWith());
    expect(await client.next()).toMatchObject({ type: 'start' });
    client.send(doneAt(1));
    await expect(server.finished).rejects.toBe(full);
    expect(await client.next()).toEqual({ type: 'finished' });
  });

  it('that is interrupted is saved as it is, and its peers are told', async () => {
    stopTime();
    const { server } = await serve(emptyRun(['a', 'b']));
    const client = await join(server, 'a');
    server.interrupt();
    vi.advanceTimersByTime(1_500);
    expect(await server.finished).toMatchObject({ interrupted: true, peers: [{ outcome: 'lost' }] });
    expect(await client.closed).toEqual([4009, 'the coordinator was interrupted']);
  });
});

describe('time', () => {
  it('closes a round whose deadline has come', async () => {
    stopTime();
    const { server } = await serve(emptyRun(['a', 'b'], settingsWith({ maxWait: '300ms' })));
    const [a, b] = [await join(server, 'a'), await join(server, 'b')];
    for (const client of [a, b]) client.send(readyWith());
    for (const client of [a, b]) await client.next();
    a.send(logitsOf(0));
    await a.settled();
    vi.advanceTimersByTime(300);
    expect(await a.next()).toMatchObject({ type: 'noTarget', round: 0, reason: 'noTeachers' });
  });

  it('brings pings however often peers report', async () => {
    stopTime();
    const { server } = await serve(emptyRun(['a']));
    const client = await join(server, 'a');
    const pinged = once(client.socket, 'ping');
    for (let passed = 0; passed < 6_000; passed += 500) {
      client.send(progressAt(1));
      await client.settled();
      vi.advanceTimersByTime(500);
    }
    await pinged;
  });

  it('cuts off a peer of which nothing is heard, and loses it after the lease', async () => {
    stopTime();
    const { server, events } = await serve(
      emptyRun(['a', 'b'], settingsWith({ lease: '2s', maxWait: '1s' })),
    );
    const a = await join(server, 'a', { autoPong: false });
    const b = await join(server, 'b');
    for (const client of [a, b]) client.send(readyWith());
    for (const client of [a, b]) await client.next();
    // One lease, for a peer whose pace is known.
    a.send(progressAt(1));
    await a.settled();
    for (let passed = 0; passed < 6_000; passed += 500) {
      b.send(progressAt(1));
      await b.settled();
      vi.advanceTimersByTime(500);
    }
    expect((await a.closed)[0]).toBe(1006);
    await vi.waitUntil(() => events.includes('left a'));
    vi.advanceTimersByTime(3_000);
    expect(events.slice(-2)).toEqual(['left a', 'lost a']);
    expect(b.socket.readyState).toBe(b.socket.OPEN);
  });
});
