import { createHash } from 'node:crypto';
import type { ImageSet, ImageShape } from './types.ts';

/**
 * SHA-256 (hex) over image shape, class count, and the pixels and labels (uint16 little-endian) of both splits: equal
 * exactly when the samples are.
 */
export function datasetDigest(
  imageShape: ImageShape,
  classes: number,
  train: ImageSet,
  test: ImageSet,
): string {
  const hash = createHash('sha256');
  hash.update(JSON.stringify([...imageShape, classes, train.count, test.count]));
  for (const set of [train, test]) {
    hash.update(set.images);
    const labels = new DataView(new ArrayBuffer(2 * set.count));
    for (let i = 0; i < set.count; i++) labels.setUint16(2 * i, set.labels[i]!, true);
    hash.update(labels);
  }
  return hash.digest('hex');
}
