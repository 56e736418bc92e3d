import { type DataFile, malformed } from './dataFile.ts';
import type { ImageSet } from './types.ts';

const SIDE = 32;
const CHANNELS = 3;
const PLANE = SIDE * SIDE;
const IMAGE_BYTES = PLANE * CHANNELS;

export interface CifarLayout {
  /** Bytes before each image: CIFAR-10 has one label, CIFAR-100 a coarse and a fine one. The last of them is read. */
  readonly labelBytes: 1 | 2;
  readonly classes: number;
}

/**
 * One split from files of the CIFAR binary format, joined in the order given. Each row is the label bytes, then the
 * 32x32 red plane, the green and the blue; pixels are rearranged to `[count, 32, 32, 3]`.
 *
 * @throws {DataError} when a file is empty or no whole number of rows, or a label is not below `layout.classes`
 */
export function parseCifar(files: readonly DataFile[], layout: CifarLayout): ImageSet {
  const rowBytes = layout.labelBytes + IMAGE_BYTES;
  let count = 0;
  for (const file of files) {
    if (file.bytes.length === 0 || file.bytes.length % rowBytes !== 0) {
      throw malformed(file, `rows of ${rowBytes} bytes`, `a file of ${file.bytes.length} bytes`);
    }
    count += file.bytes.length / rowBytes;
  }
  const images = new Uint8Array(count * IMAGE_BYTES);
  const labels = new Uint16Array(count);
  let sample = 0;
  for (const file of files) {
    for (let row = 0; row < file.bytes.length; row += rowBytes) {
      const label = file.bytes[row + layout.labelBytes - 1]!;
      if (label >= layout.classes) {
        throw malformed(file, `labels from 0 to ${layout.classes - 1}`, `${label} in row ${row / rowBytes}`);
      }
      labels[sample] = label;
      interleave(file.bytes, row + layout.labelBytes, images, sample * IMAGE_BYTES);
      sample++;
    }
  }
  return { count, images, labels };
}

/** Copies one image from planes (`[3, 32, 32]` at `from`) to pixels (`[32, 32, 3]` at `to`). */
function interleave(source: Uint8Array, from: number, target: Uint8Array, to: number): void {
  for (let channel = 0; channel < CHANNELS; channel++) {
    const plane = from + channel * PLANE;
    for (let i = 0; i < PLANE; i++) target[to + i * CHANNELS + channel] = source[plane + i]!;
  }
}
