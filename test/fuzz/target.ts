import type fc from 'fast-check';

/**
 * One thing that is fuzzed: what it is given, and what must hold then. Cases are plain data, so that a case that once
 * failed can be kept in a file.
 */
export interface Target<Case> {
  /** Also the beginning of the names of its files in the corpus. */
  readonly name: string;
  /** Cases of this target among a hundred of all. */
  readonly share: number;
  readonly cases: fc.Arbitrary<Case>;
  /** Throws when the property does not hold. */
  check(one: Case): Promise<void>;
}

/** Milliseconds since some time. */
export type Clock = () => number;

/** The longest that one input may keep a program busy, in milliseconds. */
const MOST_MS = 50;
/** Runs of the same work that took too long by the clock: a collection of garbage does not hit all of them. */
const RUNS = 4;

/** Time that this program has computed for: unlike that on the wall, it does not count other programs; but it is dear. */
const computing: Clock = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

/** Fails when work takes longer than one input may; `work` returns how long it took by the clock that it is given. */
export async function expectQuick(work: (clock: Clock) => number | Promise<number>): Promise<void> {
  let shortest = await work(() => performance.now());
  for (let run = 0; run < RUNS && shortest > MOST_MS; run++)
    shortest = Math.min(shortest, await work(computing));
  if (shortest > MOST_MS) throw new Error(`expected at most ${MOST_MS} ms, took ${shortest.toFixed(1)} ms`);
}

export type Outcome<T> = { readonly value: T } | { readonly error: unknown };

/** The result of `work`, or what it threw; fails when it takes longer than it may. */
export async function outcomeOf<T>(work: () => T | Promise<T>): Promise<Outcome<T>> {
  let outcome!: Outcome<T>;
  await expectQuick(async (clock) => {
    const startedAt = clock();
    try {
      outcome = { value: await work() };
    } catch (error) {
      outcome = { error };
    }
    return clock() - startedAt;
  });
  return outcome;
}

/** Fails when a key of an input has become one of every object. */
export function expectUnpolluted(): void {
  const added = Object.keys(Object.prototype);
  if (added.length > 0) throw new Error(`every object has got ${added.join(', ')}`);
}
