import { DataError } from '../errors.ts';

/** What a message about a file needs: where it is, and how to get an intact one. */
export interface FileInfo {
  readonly path: string;
  /** A sentence such as `Get it again with --download.` */
  readonly remedy: string;
}

/** A file of a dataset in memory, decompressed. */
export interface DataFile extends FileInfo {
  readonly bytes: Uint8Array;
}

/** The error for a file that is not what it should be: which file, what was expected, what came, what to do. */
export function malformed(
  file: FileInfo,
  expected: string,
  found: string,
  options?: ErrorOptions,
): DataError {
  return new DataError(`${file.path}: expected ${expected}, got ${found}. ${file.remedy}`, options);
}
