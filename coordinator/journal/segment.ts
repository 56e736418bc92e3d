import { closeSync, fdatasync, ftruncateSync, openSync, readFileSync, readSync, writevSync } from 'node:fs';
import { type EncodedRecord, frameIn, type Meta, recordAt } from './record.ts';

/** One file of a journal, open for appending, and an index of the rounds in it: some tens of bytes of memory for each. */
export interface Segment {
  readonly path: string;
  readonly bytes: number;
  /** The last snapshot, and the last record of any kind, that were there when it was opened. */
  readonly snapshot: Meta | null;
  readonly last: Meta | null;
  /** Bytes behind the last sound record, which were cut off when it was opened. */
  readonly cut: number;
  /** @throws when the disk does not take it; the file is as before then */
  append(record: EncodedRecord): void;
  recall(round: number, peer: string): Uint8Array<ArrayBuffer> | null;
  /** Makes what was appended outlive a power cut; in the background. */
  sync(): void;
  close(): void;
}

/** Opens a file, or creates it. What a killed process left behind of a record that it was writing is cut off. */
export function openSegment(path: string): Segment {
  const fd = openSync(path, 'a+');
  const content = readFileSync(path);
  /** Where the records of each round begin. */
  const index = new Map<number, number[]>();
  let snapshot: Meta | null = null;
  let last: Meta | null = null;
  const note = (meta: Meta, offset: number): void => {
    if (meta.kind !== 'round') return;
    const those = index.get(meta.round);
    if (those) those.push(offset);
    else index.set(meta.round, [offset]);
  };
  let size = 0;
  for (let record = recordAt(content, 0); record; record = recordAt(content, size)) {
    note(record.meta, size);
    last = record.meta;
    if (last.kind === 'snapshot') snapshot = last;
    size = record.end;
  }
  const cut = content.byteLength - size;
  if (cut > 0) ftruncateSync(fd, size);
  const bytesAt = (offset: number, length: number): Uint8Array<ArrayBuffer> => {
    const bytes = new Uint8Array(length);
    readSync(fd, bytes, 0, length, offset);
    return bytes;
  };
  return {
    path,
    snapshot,
    last,
    cut,
    get bytes() {
      return size;
    },
    append({ meta, parts }) {
      const bytes = parts.reduce((sum, { byteLength }) => sum + byteLength, 0);
      try {
        const written = writevSync(fd, parts);
        if (written < bytes) throw new Error(`the disk took ${written} of ${bytes} bytes`);
      } catch (error) {
        ftruncateSync(fd, size);
        throw error;
      }
      note(meta, size);
      size += bytes;
    },
    recall(round, peer) {
      // The latest one, where a peer was answered twice.
      for (const offset of (index.get(round) ?? []).toReversed()) {
        const frame = frameIn(bytesAt, offset, peer);
        if (frame) return frame;
      }
      return null;
    },
    sync() {
      // A failure shows at the next append.
      fdatasync(fd, () => {});
    },
    close: () => closeSync(fd),
  };
}
