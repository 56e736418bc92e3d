import { closeSync, fdatasync, ftruncateSync, openSync, readFileSync, readSync, writevSync } from 'node:fs';
import { type EncodedRecord, type Meta, recordAt } from './record.ts';

interface Place {
  readonly offset: number;
  readonly bytes: number;
}

/** One file of a journal, open for appending, and an index of the answers in it. */
export interface Segment {
  readonly path: string;
  readonly bytes: number;
  /** Records that were there when it was opened. */
  readonly found: readonly Meta[];
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
  const index = new Map<string, Place>();
  const found: Meta[] = [];
  const note = (meta: Meta, bodyAt: number): void => {
    if (meta.kind !== 'round') return;
    let offset = bodyAt;
    for (const [peer, bytes] of meta.answers) {
      index.set(`${meta.round} ${peer}`, { offset, bytes });
      offset += bytes;
    }
  };
  let size = 0;
  for (let record = recordAt(content, 0); record; record = recordAt(content, size)) {
    note(record.meta, record.bodyAt);
    found.push(record.meta);
    size = record.end;
  }
  const cut = content.byteLength - size;
  if (cut > 0) ftruncateSync(fd, size);
  return {
    path,
    found,
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
      const [head, text] = parts as [Uint8Array, Uint8Array];
      note(meta, size + head.byteLength + text.byteLength);
      size += bytes;
    },
    recall(round, peer) {
      const place = index.get(`${round} ${peer}`);
      if (!place) return null;
      const frame = new Uint8Array(place.bytes);
      readSync(fd, frame, 0, place.bytes, place.offset);
      return frame;
    },
    sync() {
      // A failure shows at the next append.
      fdatasync(fd, () => {});
    },
    close: () => closeSync(fd),
  };
}
