import { expectBytes, expectValues } from './lengths.ts';
import type { TensorCodec } from './types.ts';

const LARGEST = 0x7bff; // 65504
const INFINITY = 0x7c00;
const QUIET_NAN = 0x7e00;

/**
 * IEEE 754 binary16: 2 bytes a value, 11 significant bits, rounded to nearest, ties to even.
 *
 * Finite values beyond +-65504 become +-65504, since a receiver refuses the Infinity that rounding would make of them.
 * What was not finite before stays so: a codec must not hide that a model has diverged.
 */
export const float16: TensorCodec = {
  name: 'float16',

  bytes: (rows, classes) => rows * classes * 2,

  encode(values, rows, classes) {
    expectValues(values, rows, classes);
    const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
    const bytes = new Uint8Array(values.length * 2);
    for (let i = 0; i < bits.length; i++) {
      const half = halfOf(bits[i]!);
      bytes[2 * i] = half;
      bytes[2 * i + 1] = half >>> 8;
    }
    return bytes;
  },

  decode(bytes, rows, classes) {
    expectBytes(float16, bytes, rows, classes);
    const values = new Float32Array(rows * classes);
    for (let i = 0; i < values.length; i++) values[i] = FLOATS[bytes[2 * i]! | (bytes[2 * i + 1]! << 8)]!;
    return values;
  },
};

/** The binary16 nearest to a binary32; both as bits. */
function halfOf(float: number): number {
  const sign = (float >>> 16) & 0x8000;
  const magnitude = float & 0x7fffffff;
  if (magnitude >= 0x7f800000) return sign | (magnitude > 0x7f800000 ? QUIET_NAN : INFINITY);
  if (magnitude >= 0x477fe000) return sign | LARGEST;
  // From 2^-14 on, results are normal: exponents differ by 112. Adding 0xfff, and 1 if the last kept bit is odd, makes
  // the cut of 13 bits a rounding to nearest even; a carry into the exponent is right as it is.
  if (magnitude >= 0x38800000)
    return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
  // Below 2^-25, and at it (a tie with zero, which is even), nothing is left.
  if (magnitude <= 0x33000000) return sign;
  // Subnormal results are multiples of 2^-24: shift the significand, leading one included, to that place.
  const shift = 126 - (magnitude >>> 23);
  const significand = (magnitude & 0x7fffff) | 0x800000;
  const halfway = 1 << (shift - 1);
  return sign | ((significand + halfway - 1 + ((significand >>> shift) & 1)) >>> shift);
}

/** The value of a binary16 that is given as bits. */
function floatOf(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >>> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The value of each of the 65,536 binary16 numbers: one load decodes a value. */
const FLOATS = Float32Array.from({ length: 0x10000 }, (_, half) => floatOf(half));
