/** Class numbers as they travel, in `logits` and in `predictions`: uint16, little-endian, two bytes a row. */
export function encodeLabels(labels: Uint16Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(2 * labels.length);
  const view = new DataView(bytes.buffer);
  for (const [row, label] of labels.entries()) view.setUint16(2 * row, label, true);
  return bytes;
}

/** @param bytes two a row, anywhere in a frame */
export function decodeLabels(bytes: Uint8Array): Uint16Array<ArrayBuffer> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Uint16Array.from({ length: bytes.byteLength / 2 }, (_, row) => view.getUint16(2 * row, true));
}
