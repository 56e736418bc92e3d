import type { backend_util } from '@tensorflow/tfjs';

/** Which part of the output to look at. */
export interface OutputRows {
  readonly first: number;
  /** Exclusive. */
  readonly last: number;
}

/**
 * Copies what one filter tap sees: for each output position the input at that tap, 0 where it lies in the padding.
 * Whole runs are copied, so the longer the inner axis, the faster.
 *
 * @param x `[outer, inHeight, inWidth, inner]`
 * @param tap row and column within the filter
 * @param to receives `[outer, rows, outWidth, inner]`, from its start
 */
export function copyTap(
  x: Float32Array,
  [outer, inner]: readonly [outer: number, inner: number],
  info: backend_util.Conv2DInfo,
  [tapY, tapX]: readonly [number, number],
  rows: OutputRows,
  to: Float32Array,
): void {
  const { inHeight, inWidth, outWidth, strideHeight, strideWidth, padInfo } = info;
  // The output columns, `from` to `until - 1`, whose input lies inside the image.
  const shift = padInfo.left - tapX;
  const from = Math.min(outWidth, Math.max(0, Math.ceil(shift / strideWidth)));
  const until = Math.min(outWidth, Math.max(from, Math.ceil((inWidth + shift) / strideWidth)));
  const run = outWidth * inner;
  let at = 0;
  for (let o = 0; o < outer; o++) {
    for (let row = rows.first; row < rows.last; row++, at += run) {
      const y = row * strideHeight + tapY - padInfo.top;
      if (y < 0 || y >= inHeight) {
        to.fill(0, at, at + run);
        continue;
      }
      to.fill(0, at, at + from * inner);
      to.fill(0, at + until * inner, at + run);
      const line = (o * inHeight + y) * inWidth - shift;
      if (strideWidth === 1) {
        to.set(x.subarray((line + from) * inner, (line + until) * inner), at + from * inner);
        continue;
      }
      for (let column = from; column < until; column++) {
        const start = (line + column * strideWidth) * inner;
        to.set(x.subarray(start, start + inner), at + column * inner);
      }
    }
  }
}
