import type { Logger } from '../src/logger.ts';
import type { Session } from './session.ts';

/** A wait that is shorter is the ordinary pace of a training; a longer one is told about this often, in milliseconds. */
export const TELL_EVERY_MS = 5_000;

/** Tells a person about a wait that goes on: for what, how long already, and what comes next. */
export type Tell = (wait: { readonly for: string; readonly seconds: number; readonly next: string }) => void;

export function tellOn(logger: Logger): Tell {
  return (wait) => logger.info(wait, 'waiting');
}

/**
 * Waits for `work`, and tells so for as long as it takes.
 *
 * @param what is waited for, and what comes next
 */
export async function tellingOf<T>(
  work: Promise<T>,
  what: { readonly for: string | (() => string); readonly next: string },
  tell: Tell,
): Promise<T> {
  const whom = (): string => (typeof what.for === 'string' ? what.for : what.for());
  const startedAt = performance.now();
  const timer = setInterval(
    () => tell({ for: whom(), next: what.next, seconds: Math.round((performance.now() - startedAt) / 1000) }),
    TELL_EVERY_MS,
  );
  // Telling is no reason to go on: a peer that is stopped does not wait for the end of its waits.
  timer.unref();
  try {
    return await work;
  } finally {
    clearInterval(timer);
  }
}

/** The same session, whose waits do not stay silent. That it is not connected, it tells by itself. */
export function tellWaits(session: Session, tell: Tell): Session {
  return {
    ...session,
    join: () =>
      tellingOf(session.join(), { for: 'the coordinator to let this peer in', next: 'load the data' }, tell),
    ready: (facts, onLoss, weights) => {
      const started = session.ready(facts, onLoss, weights);
      const borrower = weights?.borrower;
      const what = borrower
        ? { for: () => borrower.state, next: 'train; with its own weights where none come' }
        : { for: 'the other peers to be ready', next: 'train' };
      return tellingOf(started, what, tell);
    },
    exchange: (logits, shape) =>
      tellingOf(
        session.exchange(logits, shape),
        { for: `the answer to round ${logits.round}`, next: 'the next step' },
        tell,
      ),
    finish(results) {
      const finished = session.finish(results);
      // A teacher hands in its results first, and has all its work before it.
      if (!results.some(({ type }) => type === 'done')) return finished;
      return tellingOf(finished, { for: 'the other peers to be done', next: 'leave' }, tell);
    },
    online: () => tellingOf(session.online(), { for: 'the connection', next: 'teach on' }, tell),
  };
}
