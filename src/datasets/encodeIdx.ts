/**
 * An idx file of unsigned bytes.
 *
 * @param shape count first; its product is the length of `elements`
 */
export function encodeIdx(shape: readonly number[], elements: Uint8Array): Uint8Array {
  const headerBytes = 4 + 4 * shape.length;
  const bytes = new Uint8Array(headerBytes + elements.length);
  const header = new DataView(bytes.buffer);
  header.setUint32(0, 0x0800 | shape.length);
  for (const [i, size] of shape.entries()) header.setUint32(4 + 4 * i, size);
  bytes.set(elements, headerBytes);
  return bytes;
}
