import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { connect as connectTls, type SecureVersion, type TLSSocket } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { readServerTls, type ServerTls } from '../../coordinator/tls.ts';
import { openSocket } from '../../peer/socket.ts';
import { type ClientTls, readClientTls } from '../../peer/tls.ts';
import { CodistillError } from '../../src/errors.ts';
import { encodeMessage } from '../../src/protocol/wire.ts';
import { endAll, serve } from '../coordinator/sockets.ts';
import { emptyRun, helloOf } from '../coordinator/support.ts';
import { fixture } from '../support/certificates.ts';

afterEach(endAll);

const [ca, key] = [fixture('ca.pem'), fixture('key.pem')];

/** A coordinator with this certificate, and with this authority for those of peers; its address as peers write it. */
async function secure(certificate: string, clientCa?: string) {
  // Not `readServerTls` alone: it refuses a certificate that has expired.
  const tls: ServerTls = {
    ...readServerTls({
      tlsCert: fixture('server.pem'),
      tlsKey: key,
      ...(clientCa && { tlsClientCa: clientCa }),
    })!,
    cert: readFileSync(fixture(certificate)),
  };
  const served = await serve(emptyRun(['a']), { tls });
  return { ...served, url: `${served.server.url.replace('https', 'wss')}/ws` };
}

/** How a connection ends that says hello as soon as it is open. */
function meet(url: string, tls: ClientTls): Promise<{ code: number; error: Error | null; frames: number }> {
  return new Promise((resolve) => {
    let frames = 0;
    const socket = openSocket(
      url,
      { token: null, tls },
      {
        opened: () => socket.send(encodeMessage(helloOf('a'))),
        frame: () => {
          frames++;
          socket.close(1000, 'seen');
        },
        ping: () => {},
        closed: (code, _, error) => resolve({ code, error, frames }),
      },
    );
  });
}

const trusting = (url: string, files: object = {}): ClientTls => readClientTls(url, { tlsCa: ca, ...files });
const CLIENT = { tlsCert: fixture('client.pem'), tlsKey: key };
const STRANGER = { tlsCert: fixture('stranger.pem'), tlsKey: key };

describe('over TLS', () => {
  it.each(['127.0.0.1', 'localhost'])('a peer meets the coordinator at %s', async (host) => {
    const { url } = await secure('server.pem');
    const address = url.replace('127.0.0.1', host);
    expect(await meet(address, trusting(address))).toMatchObject({ error: null, frames: 1 });
  });

  it.each([
    ['has expired', 'expired.pem', ca, /has expired; renew it there\.$/],
    [
      'is of another host',
      'elsewhere.pem',
      ca,
      /IP: 127\.0\.0\.1.*; use an address that the certificate names\.$/,
    ],
    [
      'is of an authority that is not known',
      'server.pem',
      undefined,
      /is from an authority that is not known here; give its certificate by --tls-ca\.$/,
    ],
    [
      'is of another authority',
      'server.pem',
      fixture('stranger.pem'),
      /is from an authority that is not known here/,
    ],
    [
      'is signed by itself',
      'stranger.pem',
      undefined,
      /is signed by itself; give a copy of it by --tls-ca\.$/,
    ],
  ])('a certificate that %s ends the peer with what to do', async (_, certificate, tlsCa, message) => {
    const { url, events } = await secure(certificate);
    const { error, frames } = await meet(url, readClientTls(url, tlsCa === undefined ? {} : { tlsCa }));
    expect(error).toBeInstanceOf(CodistillError);
    expect(error!.message).toMatch(/^No TLS connection to the coordinator: /);
    expect(error!.message).toMatch(message);
    expect([frames, events]).toEqual([0, []]);
  });

  it('a certificate that is signed by itself is good where a copy is there', async () => {
    const { url } = await secure('stranger.pem');
    expect(await meet(url, readClientTls(url, { tlsCa: fixture('stranger.pem') }))).toMatchObject({
      frames: 1,
    });
  });

  it('the environment cannot turn the checks off', async () => {
    const { url } = await secure('elsewhere.pem');
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
    try {
      expect((await meet(url, trusting(url))).error).toBeInstanceOf(CodistillError);
    } finally {
      delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    }
  });

  it.each<SecureVersion>(['TLSv1', 'TLSv1.1'])('the coordinator does not speak %s', async (version) => {
    const { server } = await secure('server.pem');
    const { port } = new URL(server.url);
    const options = { host: '127.0.0.1', port: Number(port), minVersion: version, maxVersion: version };
    const socket: TLSSocket = connectTls({
      ...options,
      rejectUnauthorized: false,
      ciphers: 'DEFAULT@SECLEVEL=0',
    });
    const code = await new Promise<unknown>((resolve) => {
      socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code));
      socket.on('secureConnect', () => resolve('connected'));
    });
    socket.destroy();
    expect(code).toMatch(/PROTOCOL_VERSION/);
  });

  it('the pages tell browsers to come by TLS only', async () => {
    const { server } = await secure('server.pem');
    const headers = await new Promise<object>((resolve, reject) => {
      const asked = request(
        `${server.url}/status.json`,
        { ca: readFileSync(ca), agent: false },
        (response) => {
          response.resume();
          resolve(response.headers);
        },
      );
      asked.on('error', reject).end();
    });
    expect(headers).toMatchObject({
      'strict-transport-security': 'max-age=31536000',
      'x-frame-options': 'DENY',
    });
  });
});

describe('where peers must have certificates', () => {
  it('one with a certificate of the authority is let in', async () => {
    const { url } = await secure('server.pem', ca);
    expect(await meet(url, trusting(url, CLIENT))).toMatchObject({ error: null, frames: 1 });
  });

  it('one without is told what to give', async () => {
    const { url, events } = await secure('server.pem', ca);
    const { error, frames } = await meet(url, trusting(url));
    expect(error!.message).toBe(
      'No TLS connection to the coordinator: it wants a certificate of this peer; give one by --tls-cert and --tls-key.',
    );
    expect([frames, events]).toEqual([0, []]);
  });

  it('one with a certificate of nobody known is cut off, and told what may be wrong', async () => {
    const { url, events } = await secure('server.pem', ca);
    const { error, frames } = await meet(url, trusting(url, STRANGER));
    expect(error!.message).toMatch(
      /^the coordinator cut the connection .*; if it asks for certificates of peers, give/,
    );
    expect([frames, events]).toEqual([0, []]);
  });

  it('a session that began without one opens nothing later', async () => {
    const { server } = await secure('server.pem', ca);
    const { port } = new URL(server.url);
    const tickets: Buffer[] = [];
    const open = (session?: Buffer): Promise<string> =>
      new Promise((resolve) => {
        const options = {
          host: '127.0.0.1',
          port: Number(port),
          ca: readFileSync(ca),
          ...(session && { session }),
        };
        const socket = connectTls(options, () =>
          socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n'),
        );
        socket.on('session', (ticket) => tickets.push(ticket));
        socket.on('data', (data) => resolve(String(data)));
        socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
        socket.on('close', () => resolve('closed'));
      });
    expect(await open()).not.toContain('HTTP');
    for (const ticket of [...tickets]) expect(await open(ticket)).not.toContain('HTTP');
  });
});

describe('with the wrong kind of address', () => {
  it('wss:// to a coordinator without TLS says so', async () => {
    const { server } = await serve(emptyRun(['a']));
    const url = `${server.url.replace('http', 'wss')}/ws`;
    const { error } = await meet(url, trusting(url));
    expect(error).toBeInstanceOf(CodistillError);
    expect(error!.message).toMatch(
      /it does not speak TLS; take a ws:\/\/ address, or start it with --tls-cert/,
    );
  });

  it('ws:// to a coordinator with TLS says what may be wrong', async () => {
    const { url } = await secure('server.pem');
    const plain = url.replace('wss', 'ws');
    const { error } = await meet(plain, readClientTls(plain, {}));
    expect(error!.message).toMatch(
      /^the coordinator cut the connection .*; if it speaks TLS, take a wss:\/\/ address$/,
    );
  });
});

describe('an answer that opens no WebSocket', () => {
  it('is told with its status, and with the reason of a coordinator', async () => {
    const answers = [
      [
        429,
        '{"error":"too many attempts without a valid token"}',
        'HTTP status 429: too many attempts without a valid token',
      ],
      [502, '<html>Bad gateway</html>', 'HTTP status 502'],
    ] as const;
    for (const [status, body, message] of answers) {
      const proxy = createServer((_, response) => response.writeHead(status).end(body));
      proxy.on('upgrade', (_, socket) =>
        socket.end(`HTTP/1.1 ${status} No\r\ncontent-length: ${body.length}\r\n\r\n${body}`),
      );
      await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
      const url = `ws://127.0.0.1:${(proxy.address() as AddressInfo).port}/ws`;
      const { error, code } = await meet(url, readClientTls(url, {}));
      expect([error!.message, code]).toEqual([message, 1006]);
      proxy.close();
      proxy.closeAllConnections();
    }
  });
});
