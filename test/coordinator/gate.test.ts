import { once } from 'node:events';
import { request } from 'node:http';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { connect, endAll, join, serve } from './sockets.ts';
import { emptyRun, helloOf, logitsOf, readyWith } from './support.ts';

afterEach(async () => {
  vi.useRealTimers();
  await endAll();
});

const TOKENS = [
  { name: 'lab', secret: 'secret-of-the-lab' },
  { name: 'home', secret: 'secret-of-home' },
];
const LAB = { authorization: 'Bearer secret-of-the-lab' };
const HOME = { authorization: 'Bearer secret-of-home' };
const UPGRADE = {
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
  'sec-websocket-protocol': 'codistill.v1',
};

interface Answered {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: string;
}

/** Sends a request; an upgrade that is granted is answered with 101, and cut. */
async function ask(url: string, path: string, headers: Record<string, string> = {}): Promise<Answered> {
  const asked = request({ host: '127.0.0.1', port: new URL(url).port, path, headers, agent: false });
  const response = new Promise<Answered>((resolve, reject) => {
    asked.on('error', reject);
    asked.on('upgrade', (answer, socket) => {
      socket.destroy();
      resolve({ status: answer.statusCode!, headers: {}, body: '' });
    });
    asked.on('response', async (answer) => {
      let body = '';
      for await (const chunk of answer) body += chunk;
      resolve({ status: answer.statusCode!, headers: answer.headers as Record<string, string>, body });
    });
  });
  asked.end();
  return response;
}

describe('every answer', () => {
  it.each([
    ['a page', '/healthz', {}, 200],
    ['a page that wants a token', '/status.json', {}, 401],
    ['no page', '/absent', LAB, 404],
    ['no WebSocket', '/ws', { ...UPGRADE, ...LAB, origin: 'https://evil.example' }, 403],
  ])('keeps browsers from making more of it than data: %s', async (_, path, headers, status) => {
    const { server } = await serve(emptyRun(['a']), { tokens: TOKENS });
    const answer = await ask(server.url, path, headers);
    expect(answer.status).toBe(status);
    expect(answer.headers).toMatchObject({
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'content-type': 'application/json',
      'cache-control': 'no-store',
    });
    expect(answer.headers).not.toHaveProperty('strict-transport-security');
    expect(JSON.parse(answer.body)).toBeTypeOf('object');
  });
});

describe('in a run with tokens', () => {
  it('pages about the run want one in the header, and health checks do not', async () => {
    const { server } = await serve(emptyRun(['a']), { tokens: TOKENS });
    for (const path of ['/status.json', '/metrics', '/', '/status.json?token=secret-of-home']) {
      const answer = await ask(server.url, path);
      expect(answer).toMatchObject({ status: 401, body: '{"error":"expected a token of this run"}' });
      expect(answer.headers['www-authenticate']).toBe('Bearer');
    }
    expect(await ask(server.url, '/status.json', HOME)).toMatchObject({ status: 200 });
    expect(await ask(server.url, '/healthz')).toMatchObject({ status: 200 });
    expect(await ask(server.url, '/readyz')).not.toMatchObject({ status: 401 });
  });

  it('it is known by name who joined with which', async () => {
    const records: unknown[] = [];
    const { server } = await serve(emptyRun(['a', 'b']), { tokens: TOKENS, onEvent: (r) => records.push(r) });
    await join(server, 'a', { headers: LAB });
    await join(server, 'b', { headers: HOME });
    expect(records).toMatchObject([
      { event: 'joined', peer: 'a', token: 'lab' },
      { event: 'joined', peer: 'b', token: 'home' },
    ]);
    const { body } = await ask(server.url, '/status.json', LAB);
    expect(JSON.parse(body).peers).toMatchObject([
      { name: 'a', token: 'lab' },
      { name: 'b', token: 'home' },
    ]);
    expect(JSON.stringify(records) + body).not.toContain('secret');
  });

  it('whoever came with a token that is revoked is out, and nobody else', async () => {
    const { server, run, events } = await serve(emptyRun(['a', 'b']), { tokens: TOKENS });
    const [a, b] = [await join(server, 'a', { headers: LAB }), await join(server, 'b', { headers: HOME })];
    for (const client of [a, b]) client.send(readyWith());
    for (const client of [a, b]) expect(await client.next()).toMatchObject({ type: 'start' });
    server.useTokens([TOKENS[1]!, { name: 'lab', secret: 'another' }]);
    expect(await a.closed).toEqual([4001, 'the token "lab" was revoked']);
    await vi.waitUntil(() => events.includes('left a'));
    expect(events.slice(-2)).toEqual(['revoked a', 'left a']);
    b.send(logitsOf(0));
    expect(await b.next()).toMatchObject({ type: 'noTarget' });
    expect(run.members.get('b')).toMatchObject({ connected: true });
    const again = await connect(server, { headers: LAB }, helloOf('a'));
    expect(await again.closed).toEqual([4001, 'expected a token of this run']);
    await join(server, 'a', { headers: { authorization: 'Bearer another' } });
  });
});

describe('a thousand wrong tokens', () => {
  it('are looked at ten times, cost no round, and keep nobody out who has a good one', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const { server, run, events } = await serve(emptyRun(['a', 'b', 'c']), { tokens: TOKENS });
    const names = ['a', 'b', 'c'];
    const clients = await Promise.all(names.map((name) => join(server, name, { headers: LAB })));
    for (const client of clients) client.send(readyWith());
    for (const client of clients) expect(await client.next()).toMatchObject({ type: 'start' });

    const wrong = { ...UPGRADE, authorization: 'Bearer secret-of-the-lac' };
    const statuses: number[] = [];
    for (let round = 0; round < 50; round++) {
      const attempts = Array.from({ length: 20 }, () => ask(server.url, '/ws', wrong));
      for (const client of clients) client.send(logitsOf(round));
      for (const client of clients) expect(await client.next()).toMatchObject({ type: 'target', round });
      statuses.push(...(await Promise.all(attempts)).map(({ status }) => status));
    }
    expect(statuses.filter((status) => status === 101)).toHaveLength(10);
    expect(statuses.filter((status) => status === 429)).toHaveLength(990);
    expect(run.committed).toBe(50);
    expect(Object.values(run.missed)).toEqual([0, 0, 0, 0]);
    const others = events.filter((event) => !event.startsWith('joined'));
    expect(others).toEqual(['started', ...Array<string>(10).fill('refused')]);

    expect(await ask(server.url, '/status.json')).toMatchObject({
      status: 429,
      headers: { 'retry-after': '1' },
    });
    expect(await ask(server.url, '/healthz')).toMatchObject({ status: 200 });
    await join(server, 'a', { headers: HOME });
    vi.advanceTimersByTime(1_000);
    const told = await connect(server, { headers: { authorization: 'Bearer x' } });
    expect(await told.closed).toEqual([4001, 'expected a token of this run']);
    expect(await ask(server.url, '/ws', wrong)).toMatchObject({ status: 429 });
  });
});

describe('a request of a browser', () => {
  it.each([
    ['of another site', 'https://evil.example'],
    ['of another port of this machine', 'http://127.0.0.1:1'],
    ['of a file', 'null'],
    ['of an extension', 'chrome-extension://abcdef'],
    ['with an empty origin', ''],
  ])('for a WebSocket is refused: %s', async (_, origin) => {
    const { server } = await serve(emptyRun(['a']));
    const { status, body } = await ask(server.url, '/ws', { ...UPGRADE, origin });
    expect([status, JSON.parse(body)]).toEqual([
      403,
      { error: 'expected no Origin, or that of this address' },
    ]);
  });

  it('for a WebSocket is granted to a page of this address', async () => {
    const { server } = await serve(emptyRun(['a']));
    expect(await ask(server.url, '/ws', { ...UPGRADE, origin: server.url })).toMatchObject({ status: 101 });
    const { port } = new URL(server.url);
    const host = `LOCALHOST:${port}`;
    expect(
      await ask(server.url, '/ws', { ...UPGRADE, host, origin: `http://localhost:${port}` }),
    ).toMatchObject({ status: 101 });
  });

  it('under a name that was made to point here is refused, where no token protects the run', async () => {
    const { server } = await serve(emptyRun(['a']));
    const port = new URL(server.url).port;
    const host = `rebound.example:${port}`;
    for (const [path, headers] of [
      ['/status.json', { host }],
      ['/healthz', { host }],
      ['/status.json', { host: '127.0.0.1.evil.example' }],
      ['/ws', { ...UPGRADE, host, origin: `http://${host}` }],
    ] as const) {
      expect(await ask(server.url, path, headers)).toMatchObject({ status: 403 });
    }
    for (const name of ['localhost', '127.0.0.1', '[::1]', '127.8.8.8', 'LocalHost']) {
      expect(await ask(server.url, '/status.json', { host: `${name}:${port}` })).toMatchObject({
        status: 200,
      });
    }
  });

  it('under another name is answered where a token protects the run: a proxy may be in front', async () => {
    const { server } = await serve(emptyRun(['a']), { tokens: TOKENS });
    const host = 'coordinator.example';
    expect(await ask(server.url, '/status.json', { host, ...LAB })).toMatchObject({ status: 200 });
    expect(await ask(server.url, '/ws', { ...UPGRADE, ...LAB, host })).toMatchObject({ status: 101 });
  });
});

describe('an upgrade that is refused', () => {
  it('ends its connection, also when nobody reads the answer', async () => {
    const { server } = await serve(emptyRun(['a']));
    const asked = request({
      host: '127.0.0.1',
      port: new URL(server.url).port,
      path: '/ws',
      headers: { ...UPGRADE, origin: 'https://evil.example' },
    });
    asked.end();
    const [response] = await once(asked, 'response');
    const closed = once(response.socket, 'close');
    response.resume();
    await closed;
    expect(response.headers.connection).toBe('close');
  });
});
