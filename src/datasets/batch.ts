import { type Augmentation, type CropFlip, drawCropFlip, PADDING } from './augment.ts';
import type { Dataset, ImageSet, ImageShape } from './types.ts';

/** Samples ready for a model. The arrays belong to the caller: no later batch writes to them. */
export interface Batch {
  /** `[batch, height, width, channels]`. */
  readonly shape: readonly [batch: number, height: number, width: number, channels: number];
  /** Normalised pixels, row-major: (value / 255 - mean) / std, per channel. */
  readonly images: Float32Array;
  /** Class of each sample, `[batch]`. */
  readonly labels: Uint16Array;
}

export interface BatcherOptions {
  readonly set: ImageSet;
  readonly imageShape: ImageShape;
  /** Per channel, on the scale 0-1. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly augment: Augmentation;
}

export interface Batcher {
  /**
   * Collects samples, augmented if the batcher is set to.
   *
   * @param ids any number of samples, in any order
   * @param key which view of the samples to draw, see `viewKey`, or one for each of them; not needed without augmentation
   * @throws {RangeError} for an id that is not in the set, or a missing key
   */
  gather(ids: Uint32Array, key?: number | Uint32Array): Batch;
}

/** Prepares to collect batches from the training set of a dataset. */
export function trainingBatcher({ train, imageShape, mean, std }: Dataset, augment: Augmentation): Batcher {
  return createBatcher({ set: train, imageShape, mean, std, augment });
}

/** Prepares to collect batches from one split. */
export function createBatcher({ set, imageShape, mean, std, augment }: BatcherOptions): Batcher {
  const [height, width, channels] = imageShape;
  const size = height * width * channels;
  const table = normalisationTable(mean, std);
  return {
    gather(ids, key) {
      if (augment !== 'none' && key === undefined) throw new RangeError(`${augment} needs a view's key`);
      const keyOf = (row: number): number => (typeof key === 'object' ? key[row]! : key!);
      const images = new Float32Array(ids.length * size);
      const labels = new Uint16Array(ids.length);
      for (let row = 0; row < ids.length; row++) {
        const id = ids[row]!;
        if (id >= set.count) throw new RangeError(`sample ${id} of ${set.count}`);
        const source = set.images.subarray(id * size, (id + 1) * size);
        const target = images.subarray(row * size, (row + 1) * size);
        if (augment === 'none') normalise(source, target, channels, table);
        else normaliseCrop(source, target, imageShape, table, drawCropFlip(keyOf(row), id));
        labels[row] = set.labels[id]!;
      }
      return { shape: [ids.length, height, width, channels], images, labels };
    },
  };
}

/** The normalised value of each raw one, `[channels, 256]`. */
function normalisationTable(mean: readonly number[], std: readonly number[]): Float32Array {
  return Float32Array.from({ length: 256 * mean.length }, (_, i) => {
    const channel = i >>> 8;
    return ((i & 255) / 255 - mean[channel]!) / std[channel]!;
  });
}

/** Normalises one image as it is. */
function normalise(source: Uint8Array, target: Float32Array, channels: number, table: Float32Array): void {
  for (let i = 0; i < source.length; i += channels) {
    for (let c = 0; c < channels; c++) target[i + c] = table[(c << 8) | source[i + c]!]!;
  }
}

/** Normalises the drawn part of one padded image; what lies outside of the image is black (raw 0). */
function normaliseCrop(
  source: Uint8Array,
  target: Float32Array,
  [height, width, channels]: ImageShape,
  table: Float32Array,
  { top, left, flip }: CropFlip,
): void {
  let to = 0;
  for (let y = 0; y < height; y++) {
    const fromY = y + top - PADDING;
    const insideY = fromY >= 0 && fromY < height;
    for (let x = 0; x < width; x++) {
      const fromX = (flip ? width - 1 - x : x) + left - PADDING;
      const inside = insideY && fromX >= 0 && fromX < width;
      const from = (fromY * width + fromX) * channels;
      for (let c = 0; c < channels; c++) target[to++] = table[(c << 8) | (inside ? source[from + c]! : 0)]!;
    }
  }
}
