import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { DataError, messageOf } from '../errors.ts';
import { type DataFile, malformed } from './dataFile.ts';

const decompress = promisify(gunzip);

/**
 * Reads a file, decompressed if its content is gzip, whatever its name.
 *
 * @param remedy how to get an intact one, for errors
 * @throws {DataError} when it cannot be read, or is truncated or corrupt gzip
 */
export async function readDataFile(path: string, remedy: string): Promise<DataFile> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw new DataError(`Cannot read ${path}: ${messageOf(error)}. ${remedy}`, { cause: error });
  }
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return { path, remedy, bytes };
  try {
    return { path, remedy, bytes: await decompress(bytes) };
  } catch (error) {
    const found = `${bytes.length} bytes that cannot be decompressed (${messageOf(error)})`;
    throw malformed({ path, remedy }, 'a complete gzip file', found, { cause: error });
  }
}
