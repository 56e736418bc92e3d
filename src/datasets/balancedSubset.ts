import { UsageError } from '../errors.ts';
import type { ImageSet } from './types.ts';

/**
 * The first `size / classes` samples of each class, in the order of `set`. When `size` is no multiple of `classes`, the
 * remainder goes to the classes with the lowest numbers, one sample each.
 *
 * @param what names `size` in errors, such as `trainSize`
 * @throws {UsageError} unless `size` is a positive integer and every class has enough samples
 */
export function balancedSubset(set: ImageSet, size: number, classes: number, what: string): ImageSet {
  if (!Number.isInteger(size) || size < 1 || size > set.count) {
    throw new UsageError(`${what}: expected an integer from 1 to ${set.count} (all there are), got ${size}.`);
  }
  if (size === set.count) return set;
  const wanted = Array.from({ length: classes }, (_, c) => Math.floor((size + classes - 1 - c) / classes));
  const imageBytes = set.images.length / set.count;
  const images = new Uint8Array(size * imageBytes);
  const labels = new Uint16Array(size);
  let kept = 0;
  for (let i = 0; i < set.count && kept < size; i++) {
    const label = set.labels[i]!;
    if (wanted[label]! === 0) continue;
    wanted[label]!--;
    images.set(set.images.subarray(i * imageBytes, (i + 1) * imageBytes), kept * imageBytes);
    labels[kept] = label;
    kept++;
  }
  const short = wanted.findIndex((missing) => missing > 0);
  if (short >= 0) {
    throw new UsageError(
      `${what}: ${size} samples in equal shares were asked for, but class ${short} has ${wanted[short]} too few. Ask for fewer, or for all ${set.count}.`,
    );
  }
  return { count: size, images, labels };
}
