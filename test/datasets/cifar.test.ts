import { describe, expect, it } from 'vitest';
import { parseCifar } from '../../src/datasets/cifar.ts';
import { DataError } from '../../src/errors.ts';
import { cifarFile, dataFile } from './support.ts';

const ten = { labelBytes: 1, classes: 10 } as const;
const hundred = { labelBytes: 2, classes: 100 } as const;

describe('parseCifar', () => {
  it('joins files in the order given', () => {
    const set = parseCifar([dataFile('a', cifarFile([[3], [9]])), dataFile('b', cifarFile([[0]]))], ten);
    expect(set.count).toBe(3);
    expect([...set.labels]).toEqual([3, 9, 0]);
    expect(set.images.length).toBe(3 * 32 * 32 * 3);
    expect([...set.images.subarray(3072, 3078)]).toEqual([1, 2, 3, 1, 2, 3]);
    expect([...set.images.subarray(6144, 6147)]).toEqual([0, 1, 2]);
  });

  it('puts the pixel at row y, column x of each plane there in every channel', () => {
    const bytes = cifarFile([[0]]);
    const [y, x] = [5, 7];
    for (const channel of [0, 1, 2]) bytes[1 + channel * 1024 + y * 32 + x] = 100 + channel;
    const { images } = parseCifar([dataFile('a', bytes)], ten);
    expect([...images.subarray((y * 32 + x) * 3, (y * 32 + x) * 3 + 3)]).toEqual([100, 101, 102]);
    expect(images.filter((value) => value >= 100).length).toBe(3);
  });

  it('reads the fine label of CIFAR-100', () => {
    const set = parseCifar(
      [
        dataFile(
          'a',
          cifarFile([
            [19, 99],
            [0, 42],
          ]),
        ),
      ],
      hundred,
    );
    expect([...set.labels]).toEqual([99, 42]);
    expect([...set.images.subarray(0, 3)]).toEqual([0, 1, 2]);
  });

  it.each([
    ['an empty file', new Uint8Array(), /a: .*rows of 3073 bytes.*0 bytes/],
    ['a truncated row', cifarFile([[1]]).subarray(1), /a: .*rows of 3073 bytes.*3072 bytes/],
    ['rows of the other format', cifarFile([[1, 1]]), /a: .*rows of 3073 bytes.*3074 bytes/],
    ['a label too large', cifarFile([[1], [10]]), /a: .*0 to 9.*10 in row 1/],
  ])('refuses %s, naming the file, what was expected, what came and the remedy', (_, bytes, message) => {
    expect(() => parseCifar([dataFile('a', bytes)], ten)).toThrow(DataError);
    expect(() => parseCifar([dataFile('a', bytes)], ten)).toThrow(message);
    expect(() => parseCifar([dataFile('a', bytes)], ten)).toThrow('Get another.');
  });
});
