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

/** Checkpoints that are kept of each peer: of the one that is used, and of a peer that is ahead. */
const KEPT = 3;

/** Puts checkpoints together, and lets somebody wait for one. */
export interface CheckpointInbox {
  receive(chunk: CheckpointChunk): void;
  /** The checkpoint of that step; `null` when it has not come within the time. */
  take(peer: string, step: number, patienceMs: number): Promise<Checkpoint | null>;
}

/** @param sizes of the checkpoints of each peer at most, in bytes; others are dropped */
export function createCheckpointInbox(sizes: ReadonlyMap<string, number>): CheckpointInbox {
  const complete = new Map<string, Checkpoint[]>();
  const partial = new Map<string, { step: number; bytes: Uint8Array; filled: number }>();
  const waiting = new Set<() => void>();
  return {
    receive({ peer, step, offset, size, data }) {
      if (size > (sizes.get(peer) ?? 0)) return;
      const known = partial.get(peer);
      const current =
        known?.step === step && known.bytes.length === size
          ? known
          : { step, bytes: new Uint8Array(size), filled: 0 };
      // Chunks come in order; one that is missing makes the checkpoint worthless.
      if (offset !== current.filled || offset + data.length > size) {
        partial.delete(peer);
        return;
      }
      current.bytes.set(data, offset);
      current.filled += data.length;
      partial.set(peer, current);
      if (current.filled < size) return;
      partial.delete(peer);
      complete.set(peer, [...(complete.get(peer) ?? []), current].slice(-KEPT));
      for (const look of [...waiting]) look();
    },
    take(peer, step, patienceMs) {
      const find = (): Checkpoint | undefined => complete.get(peer)?.find((each) => each.step === step);
      const found = find();
      if (found) return Promise.resolve(found);
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
        const timer = setTimeout(() => settle(null), patienceMs);
        waiting.add(look);
      });
    },
  };
}
