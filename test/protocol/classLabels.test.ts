import { expect, it } from 'vitest';
import { decodeLabels, encodeLabels } from '../../src/protocol/classLabels.ts';

it('class labels are two bytes each, the low one first, and come back as they were', () => {
  const labels = Uint16Array.of(0, 1, 255, 256, 0x1234, 65_535);
  const bytes = encodeLabels(labels);
  expect(Buffer.from(bytes).toString('hex')).toBe('00000100ff0000013412ffff');
  expect(decodeLabels(bytes)).toEqual(labels);
  expect(decodeLabels(encodeLabels(new Uint16Array(0)))).toEqual(new Uint16Array(0));
});

it('class labels are read from anywhere in a frame', () => {
  const frame = Uint8Array.of(9, 0x34, 0x12, 0xff, 0xff, 9);
  expect(decodeLabels(frame.subarray(1, 5))).toEqual(Uint16Array.of(0x1234, 65_535));
});
