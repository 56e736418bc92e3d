import fc from 'fast-check';
import type { Target } from './target.ts';
import { startWatchdog } from './watchdog.ts';

/** What came of many cases of one target. */
export interface Report {
  readonly target: string;
  /** Of the generator: it makes the same cases again. */
  readonly seed: number;
  /** Cases that were tried, those that made a failing one smaller not counted. */
  readonly cases: number;
  /** The longest time of one, by the clock on the wall. */
  readonly longestMs: number;
  readonly failure: Failure | null;
}

/** A case that fails, made as small as it could be. */
export interface Failure {
  readonly case: unknown;
  readonly error: unknown;
}

/** Tries `count` cases of a target, up to the first that fails. */
export async function fuzz<T>(target: Target<T>, count: number, seed: number): Promise<Report> {
  const watchdog = await startWatchdog(`${target.name}, seed ${seed}`);
  let longestMs = 0;
  const property = fc.asyncProperty(target.cases, async (one) => {
    watchdog.next();
    const startedAt = performance.now();
    await target.check(one);
    longestMs = Math.max(longestMs, performance.now() - startedAt);
  });
  try {
    const { failed, counterexample, errorInstance, numRuns } = await fc.check(property, {
      numRuns: count,
      seed,
    });
    const failure = failed ? { case: counterexample![0], error: errorInstance } : null;
    return { target: target.name, seed, cases: numRuns, longestMs, failure };
  } finally {
    await watchdog.stop();
  }
}
