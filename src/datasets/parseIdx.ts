import { sizeFromShape } from '../sizeFromShape.ts';
import { type DataFile, malformed } from './dataFile.ts';
import type { ImageSet, ImageShape } from './types.ts';

/**
 * The idx format of MNIST (LeCun, Cortes and Burges): two zero bytes, the element type, the number of dimensions, the
 * dimensions as 32-bit big-endian integers, then the elements row-major.
 */
const UNSIGNED_BYTE = 8;

/** The elements of an idx file of unsigned bytes, `[count, ...itemShape]`; a view, not a copy. */
function parseIdx(file: DataFile, itemShape: readonly number[]): { count: number; elements: Uint8Array } {
  const { bytes } = file;
  const dimensions = 1 + itemShape.length;
  const headerBytes = 4 + 4 * dimensions;
  if (bytes.length < headerBytes) {
    throw malformed(file, `an idx header of ${headerBytes} bytes`, `a file of ${bytes.length} bytes`);
  }
  const header = new DataView(bytes.buffer, bytes.byteOffset, headerBytes);
  const magic = (UNSIGNED_BYTE << 8) | dimensions;
  if (header.getUint32(0) !== magic) {
    throw malformed(file, `the idx magic number 0x${hex(magic)}`, `0x${hex(header.getUint32(0))}`);
  }
  const count = header.getUint32(4);
  if (count === 0) throw malformed(file, 'at least one item', 'a count of 0');
  const found = itemShape.map((_, i) => header.getUint32(8 + 4 * i));
  if (found.join() !== itemShape.join()) {
    throw malformed(file, `items of ${itemShape.join(' x ')}`, `items of ${found.join(' x ')}`);
  }
  const length = headerBytes + count * sizeFromShape(itemShape);
  if (bytes.length !== length) {
    throw malformed(file, `${length} bytes for ${count} items`, `${bytes.length} bytes`);
  }
  return { count, elements: bytes.subarray(headerBytes) };
}

function hex(word: number): string {
  return word.toString(16).padStart(8, '0');
}

/**
 * One split from a pair of idx files, both decompressed.
 *
 * @param images idx3 of unsigned bytes, `[count, height, width]`; the result's pixels are a view of it
 * @param labels idx1 of unsigned bytes, `[count]`, each below `classes`
 * @throws {DataError} when a file has another magic number, shape or length, the counts differ, or a label is too large
 */
export function parseIdxPair(
  images: DataFile,
  labels: DataFile,
  imageShape: ImageShape,
  classes: number,
): ImageSet {
  const [height, width] = imageShape;
  const pixels = parseIdx(images, [height, width]);
  const targets = parseIdx(labels, []);
  if (targets.count !== pixels.count) {
    throw malformed(
      labels,
      `${pixels.count} labels, as many as images in ${images.path}`,
      `${targets.count}`,
    );
  }
  const wrong = targets.elements.findIndex((label) => label >= classes);
  if (wrong >= 0) {
    throw malformed(
      labels,
      `labels from 0 to ${classes - 1}`,
      `${targets.elements[wrong]} at sample ${wrong}`,
    );
  }
  return { count: pixels.count, images: pixels.elements, labels: Uint16Array.from(targets.elements) };
}
