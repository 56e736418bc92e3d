import * as tf from '@tensorflow/tfjs';
import { expect } from 'vitest';
import { loadBackend } from '../../src/backend/select.ts';
import { expectClose, expectNoLeak } from '../support/tensors.ts';

/** Pseudo-random values in [-1, 1), the same on every call. */
export function values(size: number, seed = 1): Float32Array {
  let state = seed;
  return Float32Array.from({ length: size }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

/** Values of few different magnitudes, half of them 0, so that windows have ties. */
export function tiedValues(size: number, seed = 1): Float32Array {
  return values(size, seed).map((value) => Math.max(0, Math.round(value * 2)));
}

export function tensor(shape: number[], seed = 1): tf.Tensor {
  return tf.tensor(values(tf.util.sizeFromShape(shape), seed), shape);
}

export function tensor4d(shape: [number, number, number, number], seed = 1): tf.Tensor4D {
  return tf.tensor4d(values(tf.util.sizeFromShape(shape), seed), shape);
}

interface Computed {
  readonly shape: number[];
  readonly values: Float32Array;
}

async function computeOn(backend: string, compute: () => tf.Tensor[]): Promise<Computed[]> {
  await tf.setBackend(backend);
  const computed: Computed[] = [];
  await expectNoLeak(async () => {
    for (const result of tf.tidy(compute)) {
      computed.push({ shape: result.shape, values: (await result.data()) as Float32Array });
      result.dispose();
    }
  });
  return computed;
}

/** Loads both backends; leaves wasm, with its kernels, as the current one. */
export async function loadBoth(): Promise<void> {
  await loadBackend('cpu');
  await loadBackend('wasm');
}

/** Fails unless `compute` gives the same tensors on the wasm and the cpu backend and leaves none behind. */
export async function expectSameOnBoth(compute: () => tf.Tensor[], tolerance = 1e-5): Promise<void> {
  const expected = await computeOn('cpu', compute);
  const actual = await computeOn('wasm', compute);
  expect(actual.map(({ shape }) => shape)).toEqual(expected.map(({ shape }) => shape));
  for (const [i, { values }] of expected.entries()) expectClose(actual[i]!.values, values, tolerance);
}
