import { createHash } from 'node:crypto';
import { DataError } from '../src/errors.ts';
import {
  decodeSafetensors,
  encodeSafetensors,
  type SafeTensor,
  type SafetensorsContent,
} from '../src/training/safetensors.ts';

/** The metadata's first key: the seal is always at the same place of the file. */
const KEY = 'sha256';
const UNSEALED = '0'.repeat(64);
const SEAL_START = 8 + `{"__metadata__":{"${KEY}":"`.length;
const SEAL_END = SEAL_START + UNSEALED.length;

/**
 * A safetensors file that tells whether it is whole: its metadata begin with `sha256`, the SHA-256 (hex) of the file with
 * 64 zeros in the place of these digits. Names, shapes and metadata are covered as well as the values. Any reader of
 * safetensors can read it.
 */
export function encodeSealed(
  tensors: ReadonlyMap<string, SafeTensor>,
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const bytes = encodeSafetensors(tensors, { [KEY]: UNSEALED, ...metadata });
  bytes.set(new TextEncoder().encode(digestOf(bytes)), SEAL_START);
  return bytes;
}

/** @throws {DataError} when one bit of the file is not what was written */
export function decodeSealed(bytes: Uint8Array): SafetensorsContent {
  const content = decodeSafetensors(bytes);
  const { [KEY]: seal, ...metadata } = content.metadata;
  if (seal === undefined) throw new DataError(`Expected "${KEY}" in the metadata, found none.`);
  const unsealed = Uint8Array.from(bytes);
  unsealed.set(new TextEncoder().encode(UNSEALED), SEAL_START);
  const stated = new TextDecoder().decode(bytes.subarray(SEAL_START, SEAL_END));
  const digest = digestOf(unsealed);
  if (stated !== digest) {
    throw new DataError(`Expected the SHA-256 ${stated}, as the file says, got ${digest}: it is damaged.`);
  }
  return { ...content, metadata };
}

function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
