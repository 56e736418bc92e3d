import { expectBytes, expectValues } from './lengths.ts';
import type { TensorCodec } from './types.ts';

/** Signs, one bit a value: 1 for what is above 0, and 0 otherwise. The first value is the lowest bit of the first byte. */
export const bits: TensorCodec = {
  name: 'bits',

  bytes: (rows, classes) => Math.ceil((rows * classes) / 8),

  encode(values, rows, classes) {
    expectValues(values, rows, classes);
    const bytes = new Uint8Array(bits.bytes(rows, classes));
    for (let i = 0; i < values.length; i++) if (values[i]! > 0) bytes[i >> 3]! |= 1 << (i & 7);
    return bytes;
  },

  decode(bytes, rows, classes) {
    expectBytes(bits, bytes, rows, classes);
    return Float32Array.from({ length: rows * classes }, (_, i) => (bytes[i >> 3]! >> (i & 7)) & 1);
  },
};
