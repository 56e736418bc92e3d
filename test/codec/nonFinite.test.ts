import { describe, expect, it } from 'vitest';
import { hasNonFinite } from '../../src/codec/index.ts';

describe('hasNonFinite', () => {
  it.each([NaN, Infinity, -Infinity])('finds %s at any place', (value) => {
    for (let i = 0; i < 9; i++) expect(hasNonFinite(new Float32Array(9).with(i, value))).toBe(true);
  });

  it('passes the largest, the smallest, negative and no values', () => {
    expect(hasNonFinite(Float32Array.from([3.4028234e38, -3.4028234e38, 3.4028234e38, 1e-45, -0, 0]))).toBe(
      false,
    );
    expect(hasNonFinite(new Float32Array(0))).toBe(false);
  });

  it('is not fooled by infinities that cancel', () => {
    expect(hasNonFinite(Float32Array.from([Infinity, -Infinity]))).toBe(true);
  });
});
