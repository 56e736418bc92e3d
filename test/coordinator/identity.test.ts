import { generateKeyPairSync, sign } from 'node:crypto';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { disconnected, hello } from '../../coordinator/run.ts';
import type { Server } from '../../coordinator/server.ts';
import { restore, snapshotOf } from '../../coordinator/snapshot.ts';
import { identityText } from '../../src/protocol/identity.ts';
import type { CoordinatorMessage, MessageOf, PeerMessage } from '../../src/protocol/messages.ts';
import { type Client, connect, endAll, join, serve } from './sockets.ts';
import { closesOf, emptyRun, helloOf, readyWith } from './support.ts';

afterEach(async () => {
  vi.useRealTimers();
  await endAll();
});

type Hello = MessageOf<PeerMessage, 'hello'>;
type Challenge = MessageOf<CoordinatorMessage, 'challenge'>;

function makeKey() {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const identity = new Uint8Array(Buffer.from(publicKey.export({ format: 'jwk' }).x!, 'base64url'));
  return {
    identity,
    text: Buffer.from(identity).toString('base64url'),
    proof: (hello: Hello, challenge: Challenge): PeerMessage => ({
      type: 'proof',
      signature: new Uint8Array(sign(null, identityText(hello, challenge), privateKey)),
    }),
  };
}
type Key = ReturnType<typeof makeKey>;

/** Says hello with a key and gets as far as the challenge. */
async function challenged(server: Server, hello: Hello): Promise<{ client: Client; challenge: Challenge }> {
  const client = await connect(server, {}, hello);
  return { client, challenge: (await client.next()) as Challenge };
}

async function prove(server: Server, key: Key, name: string, changes: Partial<Hello> = {}): Promise<Client> {
  const hello = helloOf(name, { identity: key.identity, ...changes });
  const { client, challenge } = await challenged(server, hello);
  client.send(key.proof(hello, challenge));
  return client;
}

describe('a name that was taken with a key', () => {
  it('is its own again after every proof, and nobody else’s', async () => {
    const { server, run, events } = await serve(emptyRun(['a', 'b']));
    const [mine, other] = [makeKey(), makeKey()];
    const first = await prove(server, mine, 'a');
    expect(await first.next()).toMatchObject({ type: 'welcome', name: 'a' });
    expect(run.keys).toEqual(new Map([['a', mine.text]]));

    const keyless = await connect(server, {}, helloOf('a'));
    expect(await keyless.closed).toEqual([4001, '"a" belongs to a key, and this peer has shown none']);
    const stranger = await prove(server, other, 'a');
    expect(await stranger.closed).toEqual([4001, '"a" belongs to a key, and this peer has another one']);
    expect(events.slice(-2)).toEqual(['refused a', 'refused a']);
    expect(first.socket.readyState).toBe(first.socket.OPEN);

    const again = await prove(server, mine, 'a', { incarnation: 'another-life' });
    expect(await again.next()).toMatchObject({ type: 'welcome', name: 'a' });
    expect((await first.closed)[0]).toBe(4004);
  });

  it('is kept while nobody is there, before the start and after', async () => {
    const { server, run, events } = await serve(emptyRun(['a', 'b']));
    const key = makeKey();
    const leave = async (client: Client): Promise<void> => {
      const before = events.length;
      client.socket.terminate();
      await vi.waitUntil(() => events.length > before);
    };
    const first = await prove(server, key, 'a');
    await first.next();
    await leave(first);
    expect(run.members.size).toBe(0);
    expect((await (await connect(server, {}, helloOf('a'))).closed)[0]).toBe(4001);
    // Who asks for no name in particular gets one that is free for it.
    const { name: _, ...nameless } = helloOf('b');
    const b = await connect(server, {}, nameless);
    expect(await b.next()).toMatchObject({ type: 'welcome', name: 'b' });

    const a = await prove(server, key, 'a');
    await a.next();
    for (const client of [a, b]) client.send(readyWith());
    expect(await a.next()).toMatchObject({ type: 'start' });
    await leave(a);
    expect((await (await connect(server, {}, helloOf('a'))).closed)[0]).toBe(4001);
    expect(await (await prove(server, key, 'a')).next()).toMatchObject({ type: 'welcome', name: 'a' });
  });

  it('is told in the status', async () => {
    const { server } = await serve(emptyRun(['a', 'b']));
    const key = makeKey();
    await (await prove(server, key, 'a')).next();
    await join(server, 'b');
    const { peers } = (await (await fetch(`${server.url}/status.json`)).json()) as { peers: object[] };
    expect(peers).toMatchObject([{ name: 'a', key: key.text }, { name: 'b' }]);
    expect(peers[1]).not.toHaveProperty('key');
  });
});

describe('a key', () => {
  it('that comes back without a name gets the one it had', async () => {
    const { server, run } = await serve(emptyRun(['a', 'b', 'c']));
    const key = makeKey();
    const first = await prove(server, key, 'b');
    expect(await first.next()).toMatchObject({ name: 'b' });
    first.socket.terminate();
    await vi.waitUntil(() => run.connections.size === 0);
    const { name: _, ...nameless } = helloOf('a', { identity: key.identity });
    const again = await challenged(server, nameless);
    again.client.send(key.proof(nameless, again.challenge));
    expect(await again.client.next()).toMatchObject({ type: 'welcome', name: 'b' });
    // While it is there, another process with the same key is another peer.
    const beside = await challenged(server, nameless);
    beside.client.send(key.proof(nameless, beside.challenge));
    expect(await beside.client.next()).toMatchObject({ type: 'welcome', name: 'a' });
  });

  it('is kept for a coordinator that goes on with the run', () => {
    const key = makeKey();
    const run = emptyRun(['a']);
    hello(run, 1, helloOf('a', { identity: key.identity }), 0);
    const restored = emptyRun(['a']);
    restore(restored, JSON.parse(JSON.stringify(snapshotOf(run))), 0);
    expect(closesOf(hello(restored, 1, helloOf('a'), 0))).toMatchObject([[1, 4001, expect.any(String)]]);
    expect(closesOf(hello(restored, 2, helloOf('a', { identity: key.identity }), 0))).toEqual([]);
  });

  it('is one of 1,024 at most, so that memory has an end', () => {
    const run = emptyRun(['a']);
    const identity = new Uint8Array(32);
    const comes = (name: string) => {
      const effects = hello(run, 1, helloOf(name, { identity }), 0);
      disconnected(run, name, 1, 'gone', 0);
      return closesOf(effects);
    };
    for (let i = 0; i < 1_024; i++) expect(comes(`name-${i}`)).toEqual([]);
    expect(comes('one-more')).toEqual([[1, 4003, 'the run knows 1024 names with a key already']]);
    expect(comes('name-7')).toEqual([]);
    expect(run.keys.size).toBe(1_024);
  });
});

describe('a name without a key', () => {
  it('is let in at once, and belongs to the first key that comes for it', async () => {
    const { server, run } = await serve(emptyRun(['a']));
    const first = await join(server, 'a');
    const key = makeKey();
    expect(await (await prove(server, key, 'a')).next()).toMatchObject({ type: 'welcome', name: 'a' });
    expect((await first.closed)[0]).toBe(4004);
    expect(run.keys.get('a')).toBe(key.text);
  });
});

describe('a proof', () => {
  const REFUSED = [4001, 'expected a proof signed with the key that hello named'];

  it.each([
    [
      'of another key',
      (key: Key, hello: Hello, challenge: Challenge) =>
        makeKey().proof({ ...hello, identity: key.identity }, challenge),
    ],
    [
      'of another name',
      (key: Key, hello: Hello, challenge: Challenge) => key.proof({ ...hello, name: 'b' }, challenge),
    ],
    [
      'of another process',
      (key: Key, hello: Hello, challenge: Challenge) =>
        key.proof({ ...hello, incarnation: 'another-life' }, challenge),
    ],
    [
      'of another run',
      (key: Key, hello: Hello, challenge: Challenge) => key.proof(hello, { ...challenge, run: 'other' }),
    ],
    ['of nothing', () => ({ type: 'proof' as const, signature: new Uint8Array(64) })],
  ])('%s is refused with 4001, and leaves no trace', async (_, proofOf) => {
    const { server, run } = await serve(emptyRun(['a', 'b']));
    const key = makeKey();
    const hello = helloOf('a', { identity: key.identity });
    const { client, challenge } = await challenged(server, hello);
    client.send(proofOf(key, hello, challenge));
    expect(await client.closed).toEqual(REFUSED);
    expect([run.members.size, run.keys.size]).toEqual([0, 0]);
  });

  it('that was good on another connection is refused: each has a challenge of its own', async () => {
    const { server } = await serve(emptyRun(['a']));
    const key = makeKey();
    const hello = helloOf('a', { identity: key.identity });
    const first = await challenged(server, hello);
    const second = await challenged(server, hello);
    expect(first.challenge.nonce).not.toEqual(second.challenge.nonce);
    const proof = key.proof(hello, first.challenge);
    first.client.send(proof);
    expect(await first.client.next()).toMatchObject({ type: 'welcome' });
    second.client.send(proof);
    expect(await second.client.closed).toEqual(REFUSED);
  });

  it('without a challenge, or after hello, is refused', async () => {
    const { server } = await serve(emptyRun(['a']));
    const signature = new Uint8Array(64);
    const early = await connect(server, {}, { type: 'proof', signature });
    expect(await early.closed).toEqual(REFUSED);
    const late = await join(server, 'a');
    late.send({ type: 'proof', signature });
    expect(await late.closed).toEqual([4007, 'proof: expected only as the answer to a challenge']);
  });

  it('of a key that is no point of the curve is refused', async () => {
    const { server } = await serve(emptyRun(['a']));
    const { client } = await challenged(server, helloOf('a', { identity: new Uint8Array(32).fill(255) }));
    client.send({ type: 'proof', signature: new Uint8Array(64).fill(255) });
    expect(await client.closed).toEqual(REFUSED);
  });

  it('that does not come ends the connection two seconds after its start', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const { server } = await serve(emptyRun(['a']));
    const { client } = await challenged(server, helloOf('a', { identity: makeKey().identity }));
    vi.advanceTimersByTime(2_000);
    expect(await client.closed).toEqual([4007, 'expected hello within 2000 ms']);
  });

  it('is asked for no more after ten wrong ones, until time has passed; who has no key is let in', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const { server } = await serve(emptyRun(['a', 'b']));
    const key = makeKey();
    for (let i = 0; i < 10; i++) {
      const { client } = await challenged(server, helloOf('a', { identity: key.identity }));
      client.send({ type: 'proof', signature: new Uint8Array(64) });
      expect(await client.closed).toEqual(REFUSED);
    }
    const refused = await connect(server, {}, helloOf('a', { identity: key.identity }));
    expect(await refused.closed).toEqual([4010, 'too many wrong proofs of identity']);
    await join(server, 'b');
    vi.advanceTimersByTime(1_000);
    expect(await (await prove(server, key, 'a')).next()).toMatchObject({ type: 'welcome', name: 'a' });
  });
});
