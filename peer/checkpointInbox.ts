/** A peer's weights at one of its steps, as the bytes of a safetensors file. */
export interface Checkpoint {
  readonly step: number;
  readonly bytes: Uint8Array;
}

/** One piece of it, as it arrives. */
export interface CheckpointChunk {
  readonly peer: string;
  readonly step: number;
  readonly offset: number;
  /** Of the whole, in bytes. */
  readonly size: number;
  readonly data: Uint8Array;
}

/**
 * Puts the pieces of one sender's checkpoints together, which come in order: one that is missing makes those of its
 * checkpoint worthless. The first piece of a checkpoint begins anew.
 *
 * @param most bytes of a checkpoint; no memory is taken for larger ones
 * @returns what takes a piece, and gives back the checkpoint that it completes, or `null`
 */
export function createAssembler(most: number): (chunk: Omit<CheckpointChunk, 'peer'>) => Checkpoint | null {
  let partial: { readonly step: number; readonly bytes: Uint8Array; filled: number } | null = null;
  return ({ step, offset, size, data }) => {
    if (size > most) return null;
    if (offset === 0) partial = { step, bytes: new Uint8Array(size), filled: 0 };
    const fits =
      partial?.step === step &&
      partial.bytes.length === size &&
      partial.filled === offset &&
      offset + data.length <= size;
    if (!partial || !fits) {
      partial = null;
      return null;
    }
    partial.bytes.set(data, offset);
    partial.filled += data.length;
    if (partial.filled < size) return null;
    const { bytes } = partial;
    partial = null;
    return { step, bytes };
  };
}

/** Checkpoints that are kept of each peer: of the one that is used, and of a peer that is ahead. */
const KEPT = 3;

/** Puts checkpoints together, and lets somebody wait for one. */
export interface CheckpointInbox {
  receive(chunk: CheckpointChunk): void;
  /**
   * The checkpoint of that step, or the next one that is there of a peer that is further. When it does not come within the
   * time, the newest one before it, `null` without any; of a peer that was waited for in vain and has sent none since, at once.
   */
  take(peer: string, step: number, patienceMs: number): Promise<Checkpoint | null>;
}

/** @param sizes of the checkpoints of each peer at most, in bytes; others are dropped */
export function createCheckpointInbox(sizes: ReadonlyMap<string, number>): CheckpointInbox {
  const complete = new Map<string, Checkpoint[]>();
  const assemblers = new Map([...sizes].map(([peer, most]) => [peer, createAssembler(most)]));
  const waiting = new Set<() => void>();
  /** Who was waited for in vain, and has sent none since. */
  const silent = new Set<string>();
  const newestOf = (peer: string): Checkpoint | null =>
    complete.get(peer)?.reduce((newest, each) => (each.step > newest.step ? each : newest)) ?? null;
  return {
    receive({ peer, ...chunk }) {
      const checkpoint = assemblers.get(peer)?.(chunk);
      if (!checkpoint) return;
      silent.delete(peer);
      complete.set(peer, [...(complete.get(peer) ?? []), checkpoint].slice(-KEPT));
      for (const look of [...waiting]) look();
    },
    take(peer, step, patienceMs) {
      const find = (): Checkpoint | undefined => {
        const kept = complete.get(peer) ?? [];
        return kept.find((each) => each.step === step) ?? kept.find((each) => each.step > step);
      };
      const found = find();
      if (found) return Promise.resolve(found);
      if (silent.has(peer)) return Promise.resolve(newestOf(peer));
      return new Promise((resolve) => {
        const settle = (checkpoint: Checkpoint | null): void => {
          clearTimeout(timer);
          waiting.delete(look);
          resolve(checkpoint);
        };
        const look = (): void => {
          const arrived = find();
          if (arrived) settle(arrived);
        };
        const timer = setTimeout(() => {
          silent.add(peer);
          settle(newestOf(peer));
        }, patienceMs);
        waiting.add(look);
      });
    },
  };
}
