import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Session } from '../../peer/session.ts';
import { tellingOf, tellWaits } from '../../peer/tellWaits.ts';
import { createPeer, createStarted, done, facts, letIn, request, SHAPE, target } from './sessionPeer.ts';
import { START, WELCOME } from './support.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** What is told, each as `for (seconds) > next`. */
function told(session: Session) {
  const lines: string[] = [];
  const telling = tellWaits(session, (wait) => lines.push(`${wait.for} (${wait.seconds} s) > ${wait.next}`));
  return { lines, telling };
}

describe('a wait of a peer', () => {
  it('is told after five seconds, and again every five, until it ends', async () => {
    const lines: object[] = [];
    let end!: (value: number) => void;
    const work = new Promise<number>((resolve) => {
      end = resolve;
    });
    const waited = tellingOf(work, { for: 'this', next: 'that' }, (wait) => lines.push(wait));
    vi.advanceTimersByTime(4_999);
    expect(lines).toEqual([]);
    vi.advanceTimersByTime(5_001);
    expect(lines).toEqual([5, 10].map((seconds) => ({ for: 'this', seconds, next: 'that' })));
    end(7);
    expect(await waited).toBe(7);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is not told of a teacher, which hands in its results before its work', async () => {
    const peer = await createStarted();
    const { lines, telling } = told(peer.session);
    const finished = telling.finish([]);
    vi.advanceTimersByTime(20_000);
    peer.latest().say({ type: 'finished' });
    await finished;
    expect(lines).toEqual([]);
  });

  it('that fails is told no more', async () => {
    const waited = tellingOf(Promise.reject(new Error('no')), { for: 'this', next: 'that' }, () => {});
    await expect(waited).rejects.toThrow('no');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is told from the connection to the start', async () => {
    const { session, latest } = createPeer();
    const { lines, telling } = told(session);
    const joined = telling.join();
    latest().open();
    vi.advanceTimersByTime(5_000);
    latest().say(WELCOME);
    await joined;
    const started = telling.ready(facts);
    vi.advanceTimersByTime(5_000);
    latest().say(START);
    await started;
    expect(lines).toEqual([
      'the coordinator to let this peer in (5 s) > load the data',
      'the other peers to be ready (5 s) > train',
    ]);
  });

  it('for weights is told with whose they are and how many are here', async () => {
    const { session, latest } = createPeer();
    const { lines, telling } = told(session);
    const joined = telling.join();
    latest().open();
    latest().say(WELCOME);
    await joined;
    const borrower = { take: vi.fn(), state: 'the weights' };
    const started = telling.ready(facts, 'continue', { borrower });
    vi.advanceTimersByTime(5_000);
    borrower.state = 'the weights of b, of which 40 % are here';
    vi.advanceTimersByTime(5_000);
    latest().say(START);
    await started;
    expect(lines).toEqual([
      'the weights (5 s) > train; with its own weights where none come',
      'the weights of b, of which 40 % are here (10 s) > train; with its own weights where none come',
    ]);
  });

  it('is told in a round, while away, and at the end', async () => {
    const peer = await createStarted();
    const { lines, telling } = told(peer.session);
    const exchanged = telling.exchange(request, SHAPE);
    vi.advanceTimersByTime(5_000);
    peer.latest().say(target());
    await exchanged;
    peer.latest().drop();
    const online = telling.online();
    vi.advanceTimersByTime(5_000);
    letIn(peer);
    await online;
    const finished = telling.finish([done]);
    vi.advanceTimersByTime(5_000);
    peer.latest().say({ type: 'finished' });
    await finished;
    expect(lines).toEqual([
      'the answer to round 5 (5 s) > the next step',
      'the connection (5 s) > teach on',
      'the other peers to be done (5 s) > leave',
    ]);
    peer.session.close();
  });
});
