import type { backend_util } from '@tensorflow/tfjs';

/**
 * The outputs along one axis for which a filter tap lies inside the image: `from` to `until - 1`.
 *
 * @param size of the image
 * @param shift the padding in front of the image less the tap's place in the filter
 */
export function outputsInside(
  size: number,
  outSize: number,
  stride: number,
  shift: number,
): readonly [from: number, until: number] {
  const from = Math.min(outSize, Math.max(0, Math.ceil(shift / stride)));
  return [from, Math.min(outSize, Math.max(from, Math.ceil((size + shift) / stride)))];
}

/**
 * Copies what one filter tap sees: for each output position the input at that tap, 0 where it lies in the padding.
 * Whole runs are copied, so the longer the inner axis, the faster.
 *
 * @param x `[batch, inHeight, inWidth, inChannels]`
 * @param tap row and column within the filter
 * @param to receives `[batch, outHeight, outWidth, inChannels]`
 */
export function copyTap(
  x: Float32Array,
  info: backend_util.Conv2DInfo,
  [tapY, tapX]: readonly [number, number],
  to: Float32Array,
): void {
  const { batchSize, inHeight, inWidth, inChannels, outHeight, outWidth, strideHeight, strideWidth } = info;
  const shift = info.padInfo.left - tapX;
  const [from, until] = outputsInside(inWidth, outWidth, strideWidth, shift);
  const run = outWidth * inChannels;
  let at = 0;
  for (let image = 0; image < batchSize; image++) {
    for (let row = 0; row < outHeight; row++, at += run) {
      const y = row * strideHeight + tapY - info.padInfo.top;
      if (y < 0 || y >= inHeight) {
        to.fill(0, at, at + run);
        continue;
      }
      to.fill(0, at, at + from * inChannels);
      to.fill(0, at + until * inChannels, at + run);
      const line = (image * inHeight + y) * inWidth - shift;
      if (strideWidth === 1) {
        to.set(x.subarray((line + from) * inChannels, (line + until) * inChannels), at + from * inChannels);
        continue;
      }
      for (let column = from; column < until; column++) {
        const start = (line + column * strideWidth) * inChannels;
        to.set(x.subarray(start, start + inChannels), at + column * inChannels);
      }
    }
  }
}
