import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { DataError } from '../../src/errors.ts';
import { decodeSafetensors, encodeSafetensors, type SafeTensor } from '../../src/training/safetensors.ts';

const tensors = new Map<string, SafeTensor>([
  ['dense/weight', { dtype: 'F32', shape: [2, 3], values: Float32Array.of(1.5, -2, 0.25, 3, NaN, -0) }],
  ['2', { dtype: 'I32', shape: [2], values: Int32Array.of(-1, 2 ** 31 - 1) }],
  ['1', { dtype: 'F32', shape: [], values: Float32Array.of(7) }],
  ['empty "quoted" é', { dtype: 'F32', shape: [0, 4], values: new Float32Array(0) }],
]);

/** A file with this header and so many bytes of tensors, all zero. */
function fileOf(header: string, dataBytes: number, statedLength = Buffer.byteLength(header)): Uint8Array {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(statedLength));
  return Buffer.concat([length, Buffer.from(header), Buffer.alloc(dataBytes)]);
}

const entry = (begin: number, end: number, shape = `[${(end - begin) / 4}]`, dtype = 'F32'): string =>
  `{"dtype":"${dtype}","shape":${shape},"data_offsets":[${begin},${end}]}`;

/** What a refusal says. */
function messageOf(decode: () => unknown): string {
  try {
    decode();
  } catch (error) {
    expect(error).toBeInstanceOf(DataError);
    return (error as DataError).message;
  }
  throw new Error('it was not refused');
}

describe('a safetensors file', () => {
  test('gives back names, order, shapes, bits and metadata', () => {
    const bytes = encodeSafetensors(tensors, { step: '12', model: 'cnn-s' });
    const decoded = decodeSafetensors(bytes);
    expect([...decoded.tensors]).toEqual([...tensors]);
    expect(decoded.metadata).toEqual({ step: '12', model: 'cnn-s' });
  });

  test('has the bytes of the specification', () => {
    const one = new Map<string, SafeTensor>([
      ['a', { dtype: 'F32', shape: [1], values: Float32Array.of(1) }],
    ]);
    const header = '{"__metadata__":{},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}';
    const padded = header.padEnd(Math.ceil(header.length / 8) * 8);
    expect(Buffer.from(encodeSafetensors(one, {}))).toEqual(
      Buffer.concat([fileOf(padded, 0), Buffer.of(0, 0, 0x80, 0x3f)]),
    );
  });

  test('holds tensors at multiples of 8 bytes after the header, whatever the names', () => {
    for (const name of ['a', 'ab', 'abc', 'ä', 'abcdefgh']) {
      const bytes = encodeSafetensors(new Map([[name, tensors.get('1')!]]), {});
      expect(Number(new DataView(bytes.buffer).getBigUint64(0, true)) % 8).toBe(0);
    }
  });

  test('may hold no tensors at all', () => {
    expect(decodeSafetensors(encodeSafetensors(new Map(), {})).tensors.size).toBe(0);
  });

  test('is read from any alignment, and the values do not follow later changes of the bytes', () => {
    const bytes = encodeSafetensors(tensors, {});
    for (const offset of [1, 2, 3]) {
      const shifted = Buffer.alloc(bytes.length + offset).subarray(offset);
      shifted.set(bytes);
      const decoded = decodeSafetensors(shifted);
      shifted.fill(0xff);
      expect([...decoded.tensors]).toEqual([...tensors]);
    }
  });

  test("written by Python's safetensors is read", () => {
    const file = new URL('../fixtures/safetensors/python.safetensors', import.meta.url);
    const { tensors, metadata } = decodeSafetensors(readFileSync(file));
    expect(Object.fromEntries(tensors)).toEqual({
      'dense.weight': { dtype: 'F32', shape: [2, 3], values: Float32Array.of(1.5, -2, 0.25, 3, 4, -0.5) },
      'bn.count': { dtype: 'I32', shape: [1], values: Int32Array.of(7) },
      scale: { dtype: 'F32', shape: [], values: Float32Array.of(0.125) },
    });
    expect(metadata).toEqual({ format: 'np', step: '12' });
  });
});

describe('encodeSafetensors', () => {
  test('refuses values that do not fill the shape, and the reserved name', () => {
    const short: SafeTensor = { dtype: 'F32', shape: [2, 2], values: new Float32Array(3) };
    expect(() => encodeSafetensors(new Map([['w', short]]), {})).toThrow(
      'Tensor "w": expected 4 values for shape [2,2], got 3.',
    );
    const fine: SafeTensor = { dtype: 'F32', shape: [], values: new Float32Array(1) };
    expect(() => encodeSafetensors(new Map([['__metadata__', fine]]), {})).toThrow(DataError);
  });
});

describe('decodeSafetensors', () => {
  test.each<[string, Uint8Array, string]>([
    ['a file shorter than a length', new Uint8Array(7), 'Expected at least 8 bytes of safetensors, got 7.'],
    ['a header longer than the file', fileOf('{}', 0, 3), 'header of 3 bytes, but only 2 follow'],
    ['a header length of 2^63', Buffer.from('00000000000000807b7d', 'hex'), 'header of 9223372036854775808'],
    ['a header that is not JSON', fileOf('{"a"', 0), 'header of JSON'],
    ['a header that is not UTF-8', Buffer.from('0400000000000000227bff22', 'hex'), 'header of JSON'],
    ['a header that is not an object', fileOf('[1]', 0), 'Expected a JSON object'],
    ['metadata that are not strings', fileOf('{"__metadata__":{"step":1}}', 0), 'expected a string, got 1'],
    ['an entry that is not an object', fileOf('{"a":null}', 0), 'expected dtype F32 or I32, got nothing'],
    ['another dtype', fileOf(`{"a":${entry(0, 4, '[2]', 'F16')}}`, 4), 'F32 or I32, got "F16"'],
    ['a negative size', fileOf(`{"a":${entry(0, 4, '[-1]')}}`, 4), 'non-negative integers, got [-1]'],
    [
      'offsets that are not a pair',
      fileOf('{"a":{"dtype":"F32","shape":[],"data_offsets":[0]}}', 4),
      'got [0]',
    ],
    ['offsets that do not fit the shape', fileOf(`{"a":${entry(0, 8, '[3]')}}`, 8), 'expected 12 bytes'],
    [
      'a gap',
      fileOf(`{"a":${entry(0, 4)},"b":${entry(8, 12)}}`, 12),
      'to begin at 4, where the one before ends',
    ],
    [
      'an overlap',
      fileOf(`{"a":${entry(0, 8)},"b":${entry(4, 12)}}`, 12),
      'to begin at 8, where the one before',
    ],
    ['a truncated file', fileOf(`{"a":${entry(0, 8)}}`, 7), 'the file holds only 7 bytes of tensors'],
    [
      'bytes after the last tensor',
      fileOf(`{"a":${entry(0, 8)}}`, 9),
      'Expected 8 bytes of tensors after the',
    ],
    [
      'a name twice',
      fileOf(`{"a":${entry(0, 0)},"\\u0061" :${entry(0, 0)}}`, 0),
      'The name "a" stands twice',
    ],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => decodeSafetensors(bytes)).toThrow(DataError);
    expect(() => decodeSafetensors(bytes)).toThrow(message);
  });

  test('refuses a header above the limit of the format, before it is parsed', () => {
    const bytes = Buffer.alloc(8 + 100_000_001);
    bytes.writeBigUInt64LE(100_000_001n);
    expect(() => decodeSafetensors(bytes)).toThrow(
      'a header of at most 100000000 bytes, got one of 100000001',
    );
  });

  test.each([
    ['dtype', `{"a":{"dtype":NESTED}}`],
    ['shape', `{"a":{"dtype":"F32","shape":NESTED}}`],
    ['offsets', `{"a":{"dtype":"F32","shape":[],"data_offsets":NESTED}}`],
    ['metadata', `{"__metadata__":{"a":[NESTED]}}`],
  ])('names %s that is nested without end, or long, in few words', (_, header) => {
    for (const value of [`${'['.repeat(100_000)}${']'.repeat(100_000)}`, `"${'x'.repeat(100_000)}"`]) {
      const message = messageOf(() => decodeSafetensors(fileOf(header.replace('NESTED', value), 0)));
      expect(message).toMatch(/^(Tensor|Metadata) "a": expected/);
      expect(message.length).toBeLessThan(250);
    }
  });

  test('reads names of any length: looking through the header takes no stack', () => {
    const name = 'x'.repeat(20_000_000);
    const bytes = fileOf(`{"${name}":${entry(0, 4)}}`, 4);
    expect([...decodeSafetensors(bytes).tensors.keys()][0]).toHaveLength(name.length);
  });

  test('takes names and values that look like header syntax for what they are', () => {
    const header = `{"__metadata__":{"a":"\\"a\\":{"},"{a":${entry(0, 4)},"a":${entry(4, 8)}}`;
    expect([...decodeSafetensors(fileOf(header, 8)).tensors.keys()]).toEqual(['{a', 'a']);
  });

  test('refuses or reads, but never crashes on, a file cut at any byte', () => {
    const bytes = encodeSafetensors(tensors, { step: '12' });
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeSafetensors(bytes.subarray(0, length))).toThrow(DataError);
    }
  });
});
