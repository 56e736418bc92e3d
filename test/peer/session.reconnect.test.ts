import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ExitCode } from '../../src/errors.ts';
import {
  createPeer,
  createStarted,
  done,
  facts,
  letIn,
  PATIENCE_MS,
  type Peer,
  progress,
  reconnect,
  request,
  SHAPE,
  target,
  types,
} from './sessionPeer.ts';
import { START, WELCOME } from './support.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** The longest time between two attempts. */
const BACKOFF_MS = 8_000;

/** Refuses every attempt for as long as there are more; the milliseconds until there were none. */
function refuseAll({ latest }: Peer): number {
  const from = performance.now();
  const refuse = () => latest().drop(1006, '', new Error('connect ECONNREFUSED'));
  for (refuse(); vi.getTimerCount() > 0; refuse()) vi.advanceTimersToNextTimer();
  return performance.now() - from;
}

describe('a session that loses its connection', () => {
  it('answers a pending exchange with none, and joins again under the name that it was given', async () => {
    const peer = await createStarted();
    const exchanged = peer.session.exchange(request, SHAPE);
    reconnect(peer);
    expect(await exchanged).toEqual({ kind: 'none', reason: 'disconnected' });
    expect(peer.connections).toHaveLength(2);
    peer.latest().open();
    expect(peer.latest().said).toEqual([
      expect.objectContaining({
        type: 'hello',
        name: WELCOME.name,
        model: WELCOME.model,
        incarnation: 'incarnation',
      }),
    ]);
  });

  it('drops reports and exchanges nothing until it has started again', async () => {
    const peer = await createStarted();
    reconnect(peer);
    peer.latest().open();
    peer.latest().say(WELCOME);
    peer.session.report(progress);
    expect(await peer.session.exchange(request, SHAPE)).toEqual({ kind: 'none', reason: 'disconnected' });
    expect(types(peer.latest().said)).toEqual(['hello', 'ready']);

    peer.latest().say(START);
    const exchanged = peer.session.exchange(request, SHAPE);
    peer.latest().say(target());
    expect(await exchanged).toMatchObject({ kind: 'target' });
  });

  it('that was told to wait sends what is under way again, and gets its target then', async () => {
    const peer = await createStarted('wait');
    const exchanged = peer.session.exchange(request, SHAPE);
    reconnect(peer);
    letIn(peer);
    // Where it is, so that the coordinator knows which rounds it has missed.
    expect(peer.latest().said).toEqual([
      expect.objectContaining({ type: 'hello' }),
      { type: 'ready', ...facts, step: request.round },
      { type: 'logits', ...request },
    ]);
    peer.latest().say(target());
    expect(await exchanged).toMatchObject({ kind: 'target' });
  });

  it('that was told to wait keeps what comes up while it is away, too', async () => {
    const peer = await createStarted('wait');
    reconnect(peer);
    const exchanged = peer.session.exchange(request, SHAPE);
    letIn(peer);
    peer.latest().say(target());
    expect(await exchanged).toMatchObject({ kind: 'target' });
  });

  it('that was told to wait ends the work after its patience, without the step that was under way', async () => {
    const peer = await createStarted('wait');
    const exchanged = peer.session.exchange(request, SHAPE);
    expect(peer.session.lost.aborted).toBe(false);
    const waited = refuseAll(peer);
    expect(await exchanged).toMatchObject({ kind: 'none', ended: true });
    expect(peer.session.lost.aborted).toBe(true);
    expect(waited).toBeGreaterThan(PATIENCE_MS);
    await expect(peer.session.finish([done])).rejects.toMatchObject({ exitCode: ExitCode.unreachable });
  });

  it('gets ready with the new connection when it was away while it loaded', async () => {
    const peer = createPeer();
    void peer.session.join();
    peer.latest().open();
    peer.latest().say(WELCOME);
    peer.latest().drop();
    vi.advanceTimersToNextTimer();
    peer.latest().open();
    const started = peer.session.ready(facts);
    peer.latest().say(WELCOME);
    peer.latest().say(START);
    expect(await started).toEqual(START);
    expect(types(peer.latest().said)).toEqual(['hello', 'ready']);
  });

  it('hands in its results again, once for each connection, until they are saved', async () => {
    const peer = await createStarted();
    const finished = peer.session.finish([done]);
    reconnect(peer);
    letIn(peer);
    expect(types(peer.latest().said)).toEqual(['hello', 'ready', 'done']);
    peer.latest().say({ type: 'finished' });
    await finished;
  });

  it('hands in results that came up while it was away', async () => {
    const peer = await createStarted();
    peer.latest().drop();
    void peer.session.finish([done]);
    vi.advanceTimersToNextTimer();
    letIn(peer);
    expect(types(peer.latest().said)).toEqual(['hello', 'ready', 'done']);
  });

  it('waits at most 0.25 s for the first attempt after every welcome', async () => {
    const peer = await createStarted();
    for (let i = 0; i < 20; i++) {
      peer.latest().drop();
      vi.advanceTimersByTime(250);
      expect(peer.connections).toHaveLength(i + 2);
      letIn(peer);
    }
  });

  it('refuses to go on in another run', async () => {
    const peer = await createStarted();
    const finished = peer.session.finish([done]);
    reconnect(peer);
    peer.latest().open();
    peer.latest().say({ ...WELCOME, run: 'run-2' });
    await expect(finished).rejects.toMatchObject({
      exitCode: ExitCode.refused,
      message: 'This peer belongs to run run-1, but the coordinator now has run run-2.',
    });
    expect(peer.latest().closing?.code).toBe(1000);
    expect(types(peer.latest().said)).toEqual(['hello']);
  });
});

describe('a session that is refused', () => {
  it.each([1000, 1003, 1009, 4001, 4002, 4003, 4007, 4008])('ends by close code %i', async (code) => {
    const peer = await createStarted();
    const exchanged = peer.session.exchange(request, SHAPE);
    peer.latest().drop(code, 'for a reason');
    const error = {
      exitCode: ExitCode.refused,
      message: expect.stringMatching(new RegExp(`refused.*${code}.*: for a reason$`)),
    };
    expect(await exchanged).toMatchObject({ kind: 'none' });
    await expect(peer.session.finish([done])).rejects.toMatchObject(error);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('says so at once to the person at the terminal, though it trains on', async () => {
    const peer = await createStarted();
    peer.latest().drop(4001, 'the token was revoked');
    expect(peer.notices.at(-1)).toContain('the token was revoked');
    expect(peer.session.lost.aborted).toBe(false);
  });

  it.each(['continue', 'wait'] as const)(
    'ends the work when another process has taken its name, without the step that was under way (%s)',
    async (onLoss) => {
      const peer = await createStarted(onLoss);
      const exchanged = peer.session.exchange(request, SHAPE);
      peer.latest().drop(4004, 'a newer connection took the name');
      expect(await exchanged).toMatchObject({ kind: 'none', ended: true });
      expect(peer.session.lost.aborted).toBe(true);
      expect(peer.connections).toHaveLength(1);
      await expect(peer.session.finish([done])).rejects.toMatchObject({
        exitCode: ExitCode.refused,
        message: expect.stringMatching(/^Another process has taken the name "mlp-1" .*--name/),
      });
      expect(vi.getTimerCount()).toBe(0);
    },
  );

  it('says what the close code means when no reason came with it', async () => {
    const peer = createPeer();
    const joined = peer.session.join();
    peer.latest().drop(4001);
    await expect(joined).rejects.toThrow('The token is missing, wrong or revoked');
  });

  it('ends by a message that it cannot read, and says what was wrong', async () => {
    const peer = createPeer();
    const joined = peer.session.join();
    peer.latest().open();
    peer.latest().frame(Uint8Array.of(0xc1));
    expect(peer.latest().closing?.code).toBe(4007);
    peer.latest().drop(4007, peer.latest().closing!.reason);
    await expect(joined).rejects.toMatchObject({
      exitCode: ExitCode.refused,
      message: expect.stringMatching(/^The coordinator sent a message that this peer cannot read: ./),
    });
  });
});

describe('a session that reaches nobody', () => {
  it('gives up after its patience, in words', async () => {
    const peer = createPeer();
    const joined = peer.session.join();
    const waited = refuseAll(peer);
    await expect(joined).rejects.toMatchObject({
      exitCode: ExitCode.unreachable,
      message:
        'Could not reach the coordinator for 30 s: connect ECONNREFUSED. Is it running, and is the address right?',
    });
    expect(waited).toBeGreaterThan(PATIENCE_MS);
    expect(waited).toBeLessThan(PATIENCE_MS + BACKOFF_MS);
    expect(peer.notices[0]).toMatch(/^not connected \(connect ECONNREFUSED\); next attempt in \d+\.\d s$/);
  });

  it('goes on trying for as long as there is training to do', async () => {
    const peer = await createStarted();
    for (let i = 0; i < 100; i++) reconnect(peer);
    expect(peer.connections).toHaveLength(101);
    letIn(peer);
    const exchanged = peer.session.exchange(request, SHAPE);
    peer.latest().say(target());
    expect(await exchanged).toMatchObject({ kind: 'target' });
  });

  it('has its whole patience for the results, however long it trained alone before', async () => {
    const peer = await createStarted();
    for (let i = 0; i < 100; i++) reconnect(peer);
    const finished = peer.session.finish([done]);
    const waited = refuseAll(peer);
    await expect(finished).rejects.toMatchObject({ exitCode: ExitCode.unreachable });
    expect(waited).toBeGreaterThan(PATIENCE_MS);
  });

  it.each([1011, 4005, 4006, 4009, 4010])('tries again after close code %i', async (code) => {
    const peer = await createStarted();
    peer.latest().drop(code, 'for a while');
    vi.advanceTimersToNextTimer();
    expect(peer.connections).toHaveLength(2);
  });
});

describe('a silent connection', () => {
  it('is cut and replaced', async () => {
    const peer = await createStarted();
    vi.advanceTimersByTime(20_000);
    expect(peer.latest().terminated).toBe(true);
    reconnect(peer);
    expect(peer.connections).toHaveLength(2);
  });

  it('is cut after three pings that did not come, where the coordinator says how often it pings', async () => {
    const peer = await createStarted();
    peer.latest().say({ ...WELCOME, pingEvery: 100 });
    vi.advanceTimersByTime(299);
    peer.latest().ping();
    // And a second in which what came in is read.
    vi.advanceTimersByTime(1_299);
    expect(peer.latest().terminated).toBe(false);
    vi.advanceTimersByTime(1);
    expect(peer.latest().terminated).toBe(true);
  });

  it.each<[string, (peer: Peer) => void]>([
    ['pings', ({ latest }) => latest().ping()],
    ['frames', ({ latest }) => latest().say(target())],
  ])('is alive with %s', async (_, sign) => {
    const peer = await createStarted();
    for (let i = 0; i < 10; i++) {
      vi.advanceTimersByTime(14_000);
      sign(peer);
    }
    expect(peer.latest().terminated).toBe(false);
  });

  it('is not cut before what came in during a long computation was read', async () => {
    const peer = await createStarted();
    // A step that blocks the event loop: afterwards timers run first, then sockets are read.
    vi.advanceTimersByTime(15_000);
    peer.latest().ping();
    vi.advanceTimersByTime(10_000);
    expect(peer.latest().terminated).toBe(false);
  });
});
