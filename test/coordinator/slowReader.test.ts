import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Run } from '../../coordinator/runState.ts';
import type { MessageOf, PeerMessage } from '../../src/protocol/messages.ts';
import { type Client, endAll, join, type Served, serve } from './sockets.ts';
import { emptyRun, logitsOf, progressAt, readyWith } from './support.ts';

afterEach(async () => {
  vi.useRealTimers();
  await endAll();
});

/** So many that a target has 256 KiB, and the buffers of the system are full after some dozens. */
const CLASSES = 65_536;
const values = new Array<number>(CLASSES).fill(0.5);
const said = logitsOf(0, values);
const bigLogits = (round: number): MessageOf<PeerMessage, 'logits'> => ({
  ...said,
  ...{ round, step: round, batch: new Uint8Array(8).fill(round) },
});

/** A run of two in training, of whom "b" reads nothing any more. */
async function serveSlow(): Promise<Served & { readonly a: Client; readonly b: Client }> {
  const served = await serve(emptyRun(['a', 'b']));
  const [a, b] = [await join(served.server, 'a'), await join(served.server, 'b')];
  for (const client of [a, b]) client.send(readyWith({ classes: CLASSES }));
  for (const client of [a, b]) await client.next();
  b.send(progressAt(1));
  await b.settled();
  b.socket.pause();
  return { ...served, a, b };
}

/** Goes on with rounds, which "a" waits for and "b" does not, until a target gave way. @returns the next round */
async function fill(run: Run, a: Client, b: Client): Promise<number> {
  const { answers } = run.members.get('b')!.traffic;
  let round = 0;
  for (; answers.replaced < 3; round++) {
    expect(round).toBeLessThan(250);
    for (const client of [b, a]) client.send(bigLogits(round));
    expect(await a.next()).toMatchObject({ type: 'target', round });
  }
  return round;
}

describe('a peer that does not read', () => {
  it('gets the newest target and an answer to every round, in order, when it reads again', async () => {
    const { run, a, b } = await serveSlow();
    const rounds = await fill(run, a, b);
    const { replaced } = run.members.get('b')!.traffic.answers;
    expect(run.missed.late).toBe(replaced);
    b.socket.resume();
    const got: string[] = [];
    for (let round = 0; round < rounds; round++) {
      const message = await b.next();
      expect(message).toMatchObject({ round });
      got.push(message.type);
    }
    expect(got.filter((type) => type === 'noTarget')).toHaveLength(replaced);
    expect(got.at(-1)).toBe('target');
    for (const client of [a, b]) client.send(bigLogits(rounds));
    expect(await b.next()).toMatchObject({ type: 'target', round: rounds });
  });

  it('is cut with 4006 after ten seconds, and the other one goes on', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const { run, records, a, b } = await serveSlow();
    const round = await fill(run, a, b);
    for (let second = 0; second < 25 && run.members.get('b')!.connected; second++) {
      await a.settled();
      vi.advanceTimersByTime(1_000);
    }
    await vi.waitUntil(() => records.some(({ event }) => event === 'left'));
    expect(records.find(({ event }) => event === 'left')).toEqual({
      ...{ event: 'left', peer: 'b', code: 4006 },
      reason: expect.stringMatching(/^nothing was read for 1\d s, and \d+ bytes wait$/),
    });
    a.send(bigLogits(round));
    expect(await a.next()).toMatchObject({ type: 'noTarget', round, reason: 'noTeachers' });
  });
});
