/** The time, and what is to happen later; a test, or a simulation, has its own. */
export interface Clock {
  /** Monotonic, in milliseconds. */
  now(): number;
  /** Calls `action` once, unless the returned function is called before. */
  after(ms: number, action: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, action) {
    const timer = setTimeout(action, ms);
    return () => clearTimeout(timer);
  },
};
