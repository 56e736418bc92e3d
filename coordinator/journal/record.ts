import { crc32 } from 'node:zlib';
import type { AnsweredRound, Counters, RunSnapshot } from './types.ts';

/**
 * One record of a journal file: CRC-32 of all that follows, length of `meta`, length of `body` (uint32, little-endian),
 * `meta` (JSON), `body` (the frames of a round, one after the other).
 */
export const HEADER_BYTES = 12;

export type Meta =
  | ({ readonly kind: 'snapshot' } & RunSnapshot)
  | ({
      readonly kind: 'round';
      readonly round: number;
      readonly answers: readonly (readonly [peer: string, bytes: number])[];
    } & Counters);

export interface EncodedRecord {
  readonly meta: Meta;
  /** Header, `meta`, and the frames: to be written one after the other. */
  readonly parts: readonly Uint8Array[];
}

export function encodeSnapshot(run: RunSnapshot): EncodedRecord {
  return encode({ kind: 'snapshot', ...run }, []);
}

export function encodeRound({ answers, ...round }: AnsweredRound): EncodedRecord {
  const lengths = answers.map(([peer, frame]) => [peer, frame.byteLength] as const);
  return encode(
    { kind: 'round', ...round, answers: lengths },
    answers.map(([, frame]) => frame),
  );
}

function encode(meta: Meta, body: readonly Uint8Array[]): EncodedRecord {
  const head = new Uint8Array(HEADER_BYTES);
  const text = new TextEncoder().encode(JSON.stringify(meta));
  const view = new DataView(head.buffer);
  view.setUint32(4, text.byteLength, true);
  view.setUint32(
    8,
    body.reduce((sum, { byteLength }) => sum + byteLength, 0),
    true,
  );
  view.setUint32(0, checksum([head.subarray(4), text, ...body]), true);
  return { meta, parts: [head, text, ...body] };
}

function checksum(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => crc32(part, sum), 0);
}

export interface FoundRecord {
  readonly meta: Meta;
  /** Where its frames begin. */
  readonly bodyAt: number;
  /** Where the next record begins. */
  readonly end: number;
}

/** The record at `offset` of a file's bytes; `null` when there is no whole and sound one: the file ends there. */
export function recordAt(bytes: Uint8Array, offset: number): FoundRecord | null {
  if (offset + HEADER_BYTES > bytes.byteLength) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, HEADER_BYTES);
  const bodyAt = offset + HEADER_BYTES + view.getUint32(4, true);
  const end = bodyAt + view.getUint32(8, true);
  if (end > bytes.byteLength || checksum([bytes.subarray(offset + 4, end)]) !== view.getUint32(0, true))
    return null;
  const text = new TextDecoder().decode(bytes.subarray(offset + HEADER_BYTES, bodyAt));
  return { meta: JSON.parse(text) as Meta, bodyAt, end };
}

/**
 * The frame that a peer was answered, in the record at `offset`; `null` when that has none for it.
 *
 * @param bytesAt reads the file
 */
export function frameIn(
  bytesAt: (offset: number, length: number) => Uint8Array<ArrayBuffer>,
  offset: number,
  peer: string,
): Uint8Array<ArrayBuffer> | null {
  const metaBytes = new DataView(bytesAt(offset, HEADER_BYTES).buffer).getUint32(4, true);
  const meta = JSON.parse(new TextDecoder().decode(bytesAt(offset + HEADER_BYTES, metaBytes))) as Meta;
  if (meta.kind !== 'round') return null;
  let at = offset + HEADER_BYTES + metaBytes;
  for (const [name, bytes] of meta.answers) {
    if (name === peer) return bytesAt(at, bytes);
    at += bytes;
  }
  return null;
}
