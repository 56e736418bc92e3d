import { describe, expect, it } from 'vitest';
import { encodeIdx } from '../../src/datasets/encodeIdx.ts';
import { parseIdxPair } from '../../src/datasets/parseIdx.ts';
import { DataError } from '../../src/errors.ts';
import { dataFile } from './support.ts';

const pixels = Uint8Array.from({ length: 2 * 3 * 4 }, (_, i) => i);
const goodImages = encodeIdx([2, 3, 4], pixels);
const goodLabels = encodeIdx([2], Uint8Array.of(9, 0));

const parse = (images = goodImages, labels = goodLabels) =>
  parseIdxPair(dataFile('images', images), dataFile('labels', labels), [3, 4, 1], 10);

describe('parseIdxPair', () => {
  it('reads pixels and labels in file order', () => {
    const set = parse();
    expect(set.count).toBe(2);
    expect(set.images).toEqual(pixels);
    expect([...set.labels]).toEqual([9, 0]);
  });

  it('reads a file that begins inside of a larger buffer', () => {
    const shifted = new Uint8Array(goodImages.length + 3);
    shifted.set(goodImages, 3);
    expect(parse(shifted.subarray(3)).images).toEqual(pixels);
  });

  it.each([
    ['a labels file in place of images', goodLabels, goodLabels, /images: .*header of 16 bytes.*10 bytes/],
    ['another magic number', encodeIdx([2, 3, 4, 1], pixels), goodLabels, /images: .*0x00000803.*0x00000804/],
    ['another image size', encodeIdx([2, 4, 3], pixels), goodLabels, /images: .*3 x 4.*4 x 3/],
    ['a truncated image', goodImages.subarray(0, 39), goodLabels, /images: .*40 bytes for 2.*39 bytes/],
    ['bytes after the end', new Uint8Array([...goodImages, 0]), goodLabels, /images: .*40 bytes.*41 bytes/],
    ['no images', encodeIdx([0, 3, 4], new Uint8Array()), goodLabels, /images: .*at least one.*0/],
    ['an empty file', goodImages, new Uint8Array(), /labels: .*header of 8 bytes.*0 bytes/],
    ['fewer labels', goodImages, encodeIdx([1], Uint8Array.of(9)), /labels: .*2 labels.*got 1/],
    [
      'a label too large',
      goodImages,
      encodeIdx([2], Uint8Array.of(0, 10)),
      /labels: .*0 to 9.*10 at sample 1/,
    ],
  ])(
    'refuses %s, naming the file, what was expected, what came and the remedy',
    (_, images, labels, message) => {
      expect(() => parse(images, labels)).toThrow(DataError);
      expect(() => parse(images, labels)).toThrow(message);
      expect(() => parse(images, labels)).toThrow('Get another.');
    },
  );
});
