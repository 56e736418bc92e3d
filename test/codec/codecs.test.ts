import { f16round } from '@petamoriken/float16';
import { describe, expect, it } from 'vitest';
import { codecs, getCodec } from '../../src/codec/index.ts';
import { ShapeError, UsageError } from '../../src/errors.ts';
import { createRandom } from '../../src/random.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const roundTrip = (name: string, ...values: number[]) => {
  const codec = getCodec(name);
  return [...codec.decode(codec.encode(Float32Array.from(values), 1, values.length), 1, values.length)];
};

const FLOATS = Float32Array.from([0, -1.5, 300, 2 ** -14, -(2 ** -24), 65504]);

describe.each(Object.values(codecs))('$name', (codec) => {
  const values = codec.name === 'bits' ? Float32Array.of(0, 1, 1, 0, 0, 1) : FLOATS;

  it('restores values that it can represent', () => {
    expect(codec.decode(codec.encode(values, 2, 3), 2, 3)).toEqual(values);
  });

  it('encodes into as many bytes as it says', () => {
    expect(codec.encode(values, 3, 2).byteLength).toBe(codec.bytes(3, 2));
  });

  it('decodes from bytes at any alignment', () => {
    const bytes = codec.encode(values, 2, 3);
    for (let offset = 0; offset < 8; offset++) {
      const frame = new Uint8Array(offset + bytes.length + 3).fill(0xff);
      frame.set(bytes, offset);
      expect(codec.decode(frame.subarray(offset, offset + bytes.length), 2, 3)).toEqual(values);
    }
  });

  it('encodes a view into a larger array', () => {
    const larger = Float32Array.from([9, ...values, 9]);
    expect(codec.encode(larger.subarray(1, 7), 2, 3)).toEqual(codec.encode(values, 2, 3));
  });

  it('returns memory of its own in both directions', () => {
    const bytes = codec.encode(values, 2, 3);
    const decoded = codec.decode(bytes, 2, 3);
    bytes.fill(0);
    expect(decoded).toEqual(values);
    expect(bytes.byteOffset).toBe(0);
    expect(bytes.buffer.byteLength).toBe(bytes.byteLength);
  });

  it('refuses values and bytes that do not fit the shape', () => {
    expect(() => codec.encode(values, 2, 2)).toThrow(new ShapeError('A tensor [2, 2] has 4 values, got 6.'));
    const bytes = codec.encode(values, 2, 3);
    expect(() => codec.decode(bytes.subarray(1), 2, 3)).toThrow(
      `A tensor [2, 3] takes ${bytes.length} bytes as ${codec.name}, got ${bytes.length - 1}.`,
    );
  });
});

describe.each(['float32', 'float16'])('%s', (name) => {
  it('restores signed zero', () => {
    expect(roundTrip(name, -0)).toEqual([-0]);
  });

  it('keeps what is not finite not finite', () => {
    expect(roundTrip(name, NaN, Infinity, -Infinity)).toEqual([NaN, Infinity, -Infinity]);
  });
});

describe('bits', () => {
  it('writes one for what is above 0, the first value in the lowest bit', () => {
    const values = [0.1, -1, 0, 5, 1e-45, -0, NaN, Infinity, -Infinity, -3, 1, 2];
    expect(hex(codecs.bits!.encode(Float32Array.from(values), 1, 12))).toBe('990c');
    expect(roundTrip('bits', ...values)).toEqual([1, 0, 0, 1, 1, 0, 0, 1, 0, 0, 1, 1]);
  });

  it.each([
    [1, 1],
    [8, 1],
    [9, 2],
    [16, 2],
    [17, 3],
  ])('takes for %i values %i bytes, whatever their shape', (values, bytes) => {
    expect(codecs.bits!.bytes(1, values)).toBe(bytes);
    expect(codecs.bits!.bytes(values, 1)).toBe(bytes);
  });

  it('leaves what fills the last byte at 0, and does not read it', () => {
    expect(hex(codecs.bits!.encode(new Float32Array(9).fill(1), 3, 3))).toBe('ff01');
    expect([...codecs.bits!.decode(Uint8Array.of(0xff, 0xff), 3, 3)]).toEqual(Array(9).fill(1));
    expect([...codecs.bits!.decode(Uint8Array.of(0x00, 0xfe), 3, 3)]).toEqual(Array(9).fill(0));
  });

  it('agrees with a plain list of bits on random signs of all lengths', () => {
    const random = createRandom(1, 'bits');
    for (let length = 1; length < 100; length++) {
      const values = Float32Array.from({ length }, () => random.normal());
      const bytes = codecs.bits!.encode(values, 1, length);
      const text = [...bytes]
        .map((byte) => [...byte.toString(2).padStart(8, '0')].reverse().join(''))
        .join('');
      expect(text.slice(0, length)).toBe([...values].map((value) => (value > 0 ? '1' : '0')).join(''));
    }
  });
});

describe('float32', () => {
  it('writes IEEE 754 binary32, little-endian', () => {
    expect(hex(codecs.float32!.encode(Float32Array.from([1, -2]), 1, 2))).toBe('0000803f000000c0');
  });
});

describe('float16', () => {
  it('writes IEEE 754 binary16, little-endian', () => {
    const values = Float32Array.from([1, -2, 65504, 2 ** -14, 2 ** -24, 0.333251953125]);
    expect(hex(codecs.float16!.encode(values, 1, 6))).toBe('003c00c0ff7b000401005535');
  });

  it('saturates finite values that are too large', () => {
    expect(roundTrip('float16', 65505, 65520, 1e7, 3.4e38, -70000)).toEqual([
      65504, 65504, 65504, 65504, -65504,
    ]);
  });

  it('rounds to nearest, ties to even', () => {
    const unit = 2 ** -10;
    expect(roundTrip('float16', 1 + unit / 2, 1 + 1.5 * unit, 1 + 0.51 * unit)).toEqual([
      1,
      1 + 2 * unit,
      1 + unit,
    ]);
    expect(roundTrip('float16', 2 ** -25, 1.001 * 2 ** -25, 1.5 * 2 ** -24)).toEqual([0, 2 ** -24, 2 ** -23]);
  });

  it('restores each of the 65,536 binary16 numbers', () => {
    const bytes = new Uint8Array(new Uint16Array(0x10000).map((_, half) => half).buffer);
    const values = codecs.float16!.decode(bytes, 256, 256);
    const again = new Uint16Array(codecs.float16!.encode(values, 256, 256).buffer);
    again.forEach((half, i) => {
      if (Number.isNaN(values[i]!)) expect((half & 0x7c00) === 0x7c00 && (half & 0x3ff) !== 0).toBe(true);
      else if (half !== i) throw new Error(`0x${i.toString(16)} came back as 0x${half.toString(16)}`);
    });
  });

  it('agrees with another implementation on random floats of all magnitudes', () => {
    const random = createRandom(1, 'float16');
    const values = new Float32Array(Uint32Array.from({ length: 100_000 }, () => random.uint32()).buffer);
    const decoded = codecs.float16!.decode(codecs.float16!.encode(values, 1000, 100), 1000, 100);
    decoded.forEach((actual, i) => {
      const value = values[i]!;
      const nearest = f16round(value);
      const expected =
        Number.isFinite(value) && !Number.isFinite(nearest) ? Math.sign(value) * 65504 : nearest;
      if (!Object.is(actual, expected)) throw new Error(`${value}: expected ${expected}, got ${actual}`);
    });
  });
});

describe('getCodec', () => {
  it('names the known codecs when asked for another', () => {
    expect(() => getCodec('flaot16')).toThrow(UsageError);
    expect(() => getCodec('flaot16')).toThrow('Unknown codec "flaot16"; did you mean "float16"?');
    expect(() => getCodec('toString')).toThrow(UsageError);
  });

  it('finds each codec by its own name', () => {
    for (const [name, codec] of Object.entries(codecs)) expect(codec.name).toBe(name);
  });
});
