import { expectBytes, expectValues } from './lengths.ts';
import type { TensorCodec } from './types.ts';

/** IEEE 754 binary32: exact, 4 bytes a value. */
export const float32: TensorCodec = {
  name: 'float32',

  bytes: (rows, classes) => rows * classes * 4,

  encode(values, rows, classes) {
    expectValues(values, rows, classes);
    const bytes = new Uint8Array(values.length * 4);
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < values.length; i++) view.setFloat32(i * 4, values[i]!, true);
    return bytes;
  },

  decode(bytes, rows, classes) {
    expectBytes(float32, bytes, rows, classes);
    const values = new Float32Array(rows * classes);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let i = 0; i < values.length; i++) values[i] = view.getFloat32(i * 4, true);
    return values;
  },
};
