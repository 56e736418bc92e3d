import { deriveKey, keyedHash } from '../random.ts';

/** `crop-flip`: crop at a random place of the image padded with black, then mirror every second one left to right. */
export type Augmentation = 'none' | 'crop-flip';

/** Black pixels added on each side before cropping. */
export const PADDING = 4;

/** Which part of the padded image becomes the sample, and whether it is mirrored. */
export interface CropFlip {
  /** Offset of the crop in the padded image, 0 to `2 * PADDING`; `PADDING` means not moved. */
  readonly top: number;
  readonly left: number;
  readonly flip: boolean;
}

/**
 * The key of one augmented view of a step's batch.
 *
 * @param peer for the peer's own view; without it, the key of the view that all peers share
 */
export function viewKey(seed: number, step: number, peer?: string): number {
  return peer === undefined
    ? deriveKey(seed, 'view', step, 'shared')
    : deriveKey(seed, 'view', step, 'own', peer);
}

/** The draw for one sample of a view: all outcomes equally likely, and the same wherever the sample is in the batch. */
export function drawCropFlip(key: number, id: number): CropFlip {
  const word = keyedHash(key, id);
  const offsets = 2 * PADDING + 1;
  const place = (word >>> 1) % (offsets * offsets);
  return { top: Math.floor(place / offsets), left: place % offsets, flip: (word & 1) === 1 };
}
