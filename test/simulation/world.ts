import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../../peer/clock.ts';

/** A world with a time of its own, in which things happen one after the other. */
export interface World extends Clock {
  /** Lets everything happen until `untilMs`, or until `done` says so after something happened. */
  run(untilMs: number, done: () => boolean): Promise<void>;
}

interface Planned {
  readonly atMs: number;
  readonly order: number;
  readonly action: () => void;
}

/** @param afterEach called after everything that happened, before the time goes on */
export function createWorld(afterEach: () => void): World {
  const queue: Planned[] = [];
  const cancelled = new Set<number>();
  let nowMs = 0;
  let order = 0;
  return {
    now: () => nowMs,
    after(ms, action) {
      order += 1;
      const mine = order;
      insert(queue, { atMs: nowMs + Math.max(0, ms), order: mine, action });
      return () => cancelled.add(mine);
    },
    async run(untilMs, done) {
      while (queue.length > 0 && queue[0]!.atMs <= untilMs && !done()) {
        const next = queue.shift()!;
        if (cancelled.delete(next.order)) continue;
        nowMs = next.atMs;
        next.action();
        // Promises that this settled go on before anything else happens.
        await setImmediate();
        afterEach();
      }
    },
  };
}

/** Keeps the queue in the order of time, and of planning among equal ones. */
function insert(queue: Planned[], planned: Planned): void {
  let [low, high] = [0, queue.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (queue[middle]!.atMs <= planned.atMs) low = middle + 1;
    else high = middle;
  }
  queue.splice(low, 0, planned);
}
