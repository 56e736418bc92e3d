import type { Payload } from './roundState.ts';
import type { Run } from './runState.ts';

/** Watches how many bytes the coordinator holds for its peers, against a limit. */
export interface MemoryAccount {
  /** Whether a message of that many bytes may still be kept. */
  hasRoomFor(bytes: number): boolean;
  /** Bytes that are held now. */
  held(): number;
}

/** A decoded tensor takes at most twice the bytes that it came as: float16 becomes float32. */
const DECODED = 2;

/**
 * Counts up with each message, and measures again only when that comes to the limit: what was held in between has often
 * gone already.
 *
 * @param measure the bytes that are held, as by {@link heldBytes}
 */
export function createMemoryAccount(limitBytes: number, measure: () => number): MemoryAccount {
  let atMost = 0;
  return {
    hasRoomFor(bytes) {
      const needed = DECODED * bytes;
      if (atMost + needed > limitBytes) atMost = measure();
      if (atMost + needed > limitBytes) return false;
      atMost += needed;
      return true;
    },
    held: measure,
  };
}

/** The bytes of tensors that a run holds: open rounds, rounds that an ensemble remembers, and final predictions. */
export function heldBytes({ rounds, recent, predictions }: Run): number {
  const payloads = [
    ...[...rounds.open.values()].flatMap(({ contributions }) => [...contributions.values()]),
    ...recent.flatMap(({ contributions }) => contributions.map(([, payload]) => payload)),
  ];
  const results = [...predictions.values()].map(
    ({ logits, labels }) => logits.byteLength + labels.byteLength,
  );
  return [...payloads.map(payloadBytes), ...results].reduce((sum, bytes) => sum + bytes, 0);
}

function payloadBytes({ logits, encodings, labels }: Payload): number {
  const features = encodings.reduce((sum, { data }) => sum + data.byteLength, 0);
  return (logits?.byteLength ?? 0) + (labels?.byteLength ?? 0) + features;
}
