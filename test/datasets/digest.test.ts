import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { datasetDigest } from '../../src/datasets/digest.ts';
import { tinySet } from './support.ts';

const train = tinySet([0, 300]);
const test = tinySet([1]);
const digest = datasetDigest([1, 1, 1], 301, train, test);

describe('datasetDigest', () => {
  it('is SHA-256 over shape, classes, counts, pixels and little-endian labels', () => {
    const bytes = [0, 1, 0, 0, 44, 1, 0, 1, 0];
    const expected = createHash('sha256')
      .update('[1,1,1,301,2,1]')
      .update(Uint8Array.from(bytes))
      .digest('hex');
    expect(digest).toBe(expected);
  });

  it.each([
    ['a pixel', datasetDigest([1, 1, 1], 301, { ...train, images: Uint8Array.of(0, 2) }, test)],
    ['a training label', datasetDigest([1, 1, 1], 301, { ...train, labels: Uint16Array.of(0, 44) }, test)],
    ['a test label', datasetDigest([1, 1, 1], 301, train, { ...test, labels: Uint16Array.of(2) })],
    ['the class count', datasetDigest([1, 1, 1], 302, train, test)],
    ['the order of the splits', datasetDigest([1, 1, 1], 301, test, train)],
  ])('differs when %s differs', (_, other) => {
    expect(other).not.toBe(digest);
  });
});
