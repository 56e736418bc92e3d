import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createSession } from '../../peer/session.ts';
import { CodistillError, ExitCode } from '../../src/errors.ts';
import { identityText } from '../../src/protocol/identity.ts';
import { facts, PATIENCE_MS, types } from './sessionPeer.ts';
import { createNetwork, START, WELCOME } from './support.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const hello = {
  type: 'hello',
  protocol: 1,
  incarnation: 'incarnation',
  backend: 'cpu',
  device: 'test',
} as const;
const challenge = { type: 'challenge', run: 'run-1', nonce: new Uint8Array(32).fill(7) } as const;
const untrusted = new CodistillError(
  'No TLS connection to the coordinator: it is old.',
  ExitCode.unreachable,
);

function createPeer(identity?: Uint8Array<ArrayBuffer>) {
  const network = createNetwork();
  const notices: string[] = [];
  const session = createSession({
    hello: { ...hello, ...(identity && { identity }) },
    // Stands for a signature: as long as one, and different for each text.
    ...(identity && {
      sign: (text) => Uint8Array.from({ length: 64 }, (_, i) => text[text.length - 70 + i]! ^ 1),
    }),
    connect: network.connect,
    patienceMs: PATIENCE_MS,
    notify: (what) => void notices.push(what),
  });
  return { ...network, session, notices };
}

it('a peer with a key proves that it has it, on every connection and under the name that it has then', async () => {
  const identity = new Uint8Array(32).fill(1);
  const { session, latest, connections } = createPeer(identity);
  const joined = session.join();
  latest().open();
  latest().say(challenge);
  const signed = (name?: string) =>
    identityText({ incarnation: 'incarnation', ...(name && { name }) }, challenge).map((byte) => byte ^ 1);
  const proofOf = (name?: string) => ({ type: 'proof', signature: signed(name).slice(-70, -6) });
  expect(latest().said).toEqual([{ ...hello, identity }, proofOf()]);
  latest().say(WELCOME);
  await joined;
  latest().drop();
  vi.advanceTimersToNextTimer();
  latest().open();
  latest().say(challenge);
  expect(connections).toHaveLength(2);
  expect(latest().said[0]).toMatchObject({ type: 'hello', name: 'mlp-1', identity });
  expect(latest().said[1]).toEqual(proofOf('mlp-1'));
});

it('a peer without a key waits for nothing', () => {
  const { session, latest } = createPeer();
  void session.join();
  latest().open();
  expect(types(latest().said)).toEqual(['hello']);
  expect(latest().said[0]).not.toHaveProperty('identity');
  session.close();
});

it('a coordinator that cannot be trusted is not asked again', async () => {
  const { session, latest, connections } = createPeer();
  const joined = session.join();
  latest().drop(1006, '', untrusted);
  await expect(joined).rejects.toBe(untrusted);
  expect(vi.getTimerCount()).toBe(0);
  expect(connections).toHaveLength(1);
});

it('a peer that was in trains on, and looks whether the certificate is renewed', async () => {
  const { session, latest, connections, notices } = createPeer();
  const joined = session.join();
  latest().open();
  latest().say(WELCOME);
  await joined;
  const started = session.ready(facts);
  latest().say(START);
  await started;
  latest().drop();
  vi.advanceTimersToNextTimer();
  latest().drop(1006, '', untrusted);
  expect(notices.at(-1)).toMatch(
    /^not connected \(No TLS connection to the coordinator: it is old\.\); next attempt/,
  );
  vi.advanceTimersToNextTimer();
  expect(connections).toHaveLength(3);
  session.close();
});
