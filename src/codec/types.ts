/**
 * A way to write a tensor `[rows, classes]` of logits as bytes. Every codec is row-major and little-endian on every
 * host, and the number of bytes follows from the shape alone, so that a receiver can refuse a wrong length unread.
 */
export interface TensorCodec {
  /** As it is written in an experiment file and in a message's `codec` field. */
  readonly name: string;
  /** The length of the encoded tensor. */
  bytes(rows: number, classes: number): number;
  /**
   * @returns new bytes that nothing else refers to
   * @throws {ShapeError} when `values` has not `rows * classes` elements
   */
  encode(values: Float32Array, rows: number, classes: number): Uint8Array<ArrayBuffer>;
  /**
   * @param bytes at any alignment; only read
   * @throws {ShapeError} when `bytes` has not the length of this shape
   */
  decode(bytes: Uint8Array, rows: number, classes: number): Float32Array<ArrayBuffer>;
}
