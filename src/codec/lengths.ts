import { ShapeError } from '../errors.ts';
import type { TensorCodec } from './types.ts';

/** @throws {ShapeError} when `values` is not a tensor `[rows, classes]` */
export function expectValues(values: Float32Array, rows: number, classes: number): void {
  if (values.length === rows * classes) return;
  throw new ShapeError(`A tensor [${rows}, ${classes}] has ${rows * classes} values, got ${values.length}.`);
}

/** @throws {ShapeError} when `bytes` has not the length that `codec` gives a tensor `[rows, classes]` */
export function expectBytes(codec: TensorCodec, bytes: Uint8Array, rows: number, classes: number): void {
  const expected = codec.bytes(rows, classes);
  if (bytes.byteLength === expected) return;
  throw new ShapeError(
    `A tensor [${rows}, ${classes}] takes ${expected} bytes as ${codec.name}, got ${bytes.byteLength}.`,
  );
}
