import { DataError } from '../errors.ts';

const BLOCK = 512;

/** A regular file in a tar archive. */
export interface TarEntry {
  /** Path inside the archive. */
  readonly name: string;
  /** A view into the archive. */
  readonly bytes: Uint8Array;
}

/** The regular files of an uncompressed tar archive (POSIX ustar), in its order; anything else in it is passed over. */
export function* tarEntries(archive: Uint8Array): Generator<TarEntry> {
  let offset = 0;
  while (offset + BLOCK <= archive.length && archive[offset] !== 0) {
    const header = archive.subarray(offset, offset + BLOCK);
    const size = Number.parseInt(text(header, 124, 12), 8);
    const type = text(header, 156, 1);
    const prefix = text(header, 257, 5) === 'ustar' ? text(header, 345, 155) : '';
    const start = offset + BLOCK;
    if (!(size >= 0 && start + size <= archive.length))
      throw new DataError(`tar: broken entry at byte ${offset}`);
    if (type === '' || type === '0') {
      const name = text(header, 0, 100);
      yield {
        name: prefix === '' ? name : `${prefix}/${name}`,
        bytes: archive.subarray(start, start + size),
      };
    }
    offset = start + Math.ceil(size / BLOCK) * BLOCK;
  }
}

/** A header field up to its first NUL. */
function text(header: Uint8Array, start: number, length: number): string {
  const field = header.subarray(start, start + length);
  const end = field.indexOf(0);
  return new TextDecoder().decode(end < 0 ? field : field.subarray(0, end)).trim();
}
