import { describe, expect, it } from 'vitest';
import { type Augmentation, drawCropFlip, PADDING, viewKey } from '../../src/datasets/augment.ts';
import { createBatcher } from '../../src/datasets/batch.ts';
import type { ImageShape } from '../../src/datasets/types.ts';

const imageShape: ImageShape = [5, 6, 3];
const [height, width, channels] = imageShape;
const size = height * width * channels;
const mean = [0.5, 0.25, 0.1];
const std = [0.2, 0.3, 0.4];
const set = {
  count: 40,
  images: Uint8Array.from({ length: 40 * size }, (_, i) => 1 + ((i * 37) % 255)),
  labels: Uint16Array.from({ length: 40 }, (_, i) => i * 10),
};

const batcher = (augment: Augmentation) => createBatcher({ set, imageShape, mean, std, augment });
const normal = (raw: number, channel: number) => Math.fround((raw / 255 - mean[channel]!) / std[channel]!);

/** A pixel of a sample, black outside of the image. */
function rawPixel(id: number, y: number, x: number, channel: number): number {
  const inside = y >= 0 && y < height && x >= 0 && x < width;
  return inside ? set.images[((id * height + y) * width + x) * channels + channel]! : 0;
}

describe('gather without augmentation', () => {
  it('normalises the samples asked for, in that order', () => {
    const batch = batcher('none').gather(Uint32Array.of(7, 3, 7));
    expect(batch.shape).toEqual([3, height, width, channels]);
    expect([...batch.labels]).toEqual([70, 30, 70]);
    const expected = [7, 3, 7].flatMap((id) =>
      [...set.images.subarray(id * size, (id + 1) * size)].map((raw, i) => normal(raw, i % channels)),
    );
    expect([...batch.images]).toEqual(expected);
  });

  it('returns new arrays every time', () => {
    const { gather } = batcher('none');
    const first = gather(Uint32Array.of(1));
    const copy = first.images.slice();
    expect(gather(Uint32Array.of(2)).images.buffer).not.toBe(first.images.buffer);
    expect(first.images).toEqual(copy);
  });

  it('refuses an id that is not in the set', () => {
    expect(() => batcher('none').gather(Uint32Array.of(39, 40))).toThrow(RangeError);
  });
});

describe('gather with crop-flip', () => {
  const ids = Uint32Array.from({ length: set.count }, (_, i) => i);

  it('crops the padded image and mirrors the crop as drawn', () => {
    const key = viewKey(1, 0);
    const { images, labels } = batcher('crop-flip').gather(ids, key);
    const expected: number[] = [];
    for (const id of ids) {
      const { top, left, flip } = drawCropFlip(key, id);
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          const column = flip ? width - 1 - x : x;
          for (let c = 0; c < channels; c++) {
            expected.push(normal(rawPixel(id, y + top - PADDING, column + left - PADDING, c), c));
          }
        }
      }
    }
    expect([...images]).toEqual(expected);
    expect(labels).toEqual(set.labels);
  });

  it('shows a sample the same way wherever it is in the batch', () => {
    const { gather } = batcher('crop-flip');
    const key = viewKey(1, 3);
    const row = gather(Uint32Array.of(4, 5, 6), key).images.subarray(2 * size);
    expect(gather(Uint32Array.of(6), key).images).toEqual(row);
  });

  it('shows the same under the same key and something else under another', () => {
    const { gather } = batcher('crop-flip');
    const shared = gather(ids, viewKey(1, 3)).images;
    expect(batcher('crop-flip').gather(ids, viewKey(1, 3)).images).toEqual(shared);
    expect(gather(ids, viewKey(1, 4)).images).not.toEqual(shared);
    expect(gather(ids, viewKey(1, 3, 'ada')).images).not.toEqual(shared);
  });

  it('shows each sample in the view of its own key when there are several', () => {
    const { gather } = batcher('crop-flip');
    const keys = [viewKey(1, 3), viewKey(1, 4)] as const;
    const { images } = gather(Uint32Array.of(6, 6), Uint32Array.from(keys));
    for (const [row, key] of keys.entries()) {
      expect(images.subarray(row * size, (row + 1) * size)).toEqual(gather(Uint32Array.of(6), key).images);
    }
  });

  it('refuses to go without a key', () => {
    expect(() => batcher('crop-flip').gather(ids)).toThrow(RangeError);
  });
});
