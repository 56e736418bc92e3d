import type { Payload } from '../roundState.ts';

/** Rounds of a peer whose tensors are remembered. */
const REMEMBERED = 512;
/** Fewer bytes than these may repeat by chance. */
const LEAST_BYTES = 64;

/** Digests of what a peer has said, oldest first, each with the digest of the batch that it said it of. */
export type Said = Map<string, string>;

/**
 * Whether a peer said the very same about other samples before. The same about the same batch is what a network says
 * whose weights stay as they are.
 *
 * @returns `null` where there is too little to tell
 */
export function isReplayed(said: Said, { logits, encodings }: Payload, batch: Uint8Array): boolean | null {
  const tensors = [
    ...(logits ? [new Uint8Array(logits.buffer, logits.byteOffset, logits.byteLength)] : []),
    ...encodings.map(({ data }) => data),
  ];
  if (tensors.reduce((sum, { byteLength }) => sum + byteLength, 0) < LEAST_BYTES) return null;
  const digest = tensors.map(digestOf).join();
  const samples = batch.join();
  const before = said.get(digest);
  if (before !== undefined) return before !== samples;
  said.set(digest, samples);
  if (said.size > REMEMBERED) said.delete(said.keys().next().value!);
  return false;
}

/** 64 bits: FNV-1a by words instead of bytes, twice, the second time over the words with their halves exchanged. */
function digestOf(bytes: Uint8Array): string {
  const words = new Uint32Array(Math.ceil(bytes.byteLength / 4));
  new Uint8Array(words.buffer).set(bytes);
  let [first, second] = [0x811c9dc5, 0xcbf29ce4];
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    first = Math.imul(first ^ word, 0x01000193);
    second = Math.imul(second ^ ((word << 16) | (word >>> 16)), 0x01000193);
  }
  return `${(first >>> 0).toString(36)}.${(second >>> 0).toString(36)}`;
}
