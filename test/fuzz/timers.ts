/**
 * Does `work` with timers that stand still until `work` fires the next one. It must not wait for anything but promises
 * that are settled: what else runs in this program has no timers meanwhile.
 */
export async function withTimers<T>(work: (fireNext: () => void) => Promise<T>): Promise<T> {
  const { setTimeout, clearTimeout } = globalThis;
  const timers = new Map<number, { readonly due: number; readonly fire: () => void }>();
  let nowMs = 0;
  let nextId = 1;
  const set = (fire: () => void, ms = 0): number => {
    timers.set(nextId, { due: nowMs + ms, fire });
    return nextId++;
  };
  Object.assign(globalThis, { setTimeout: set, clearTimeout: (id: number) => timers.delete(id) });
  try {
    return await work(() => {
      const next = [...timers].sort(([, a], [, b]) => a.due - b.due)[0];
      if (!next) return;
      timers.delete(next[0]);
      nowMs = next[1].due;
      next[1].fire();
    });
  } finally {
    Object.assign(globalThis, { setTimeout, clearTimeout });
  }
}
