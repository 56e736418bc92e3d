import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadBackend } from '../../src/backend/select.ts';
import { clipByGlobalNorm } from '../../src/training/optimizer.ts';
import { normOf } from '../support/numeric.ts';
import { expectClose, expectNoLeak } from '../support/tensors.ts';

beforeAll(async () => {
  await loadBackend('wasm');
});

const valuesOf = (tensor: tf.Tensor) => [...tensor.dataSync()];

describe('clipping by the global norm', () => {
  // Together of the norm 13.
  const parts = [
    [3, 4],
    [0, 12],
  ];
  const clip = (maxNorm: number): number[][] =>
    clipByGlobalNorm(
      parts.map((values) => tf.tensor1d(values)),
      maxNorm,
    ).map((gradient) => valuesOf(gradient!));

  it('scales all gradients alike, so that their joint norm is the limit', () => {
    const clipped = clip(2.6);
    expectClose(clipped.flat(), [0.6, 0.8, 0, 2.4], 1e-6);
    expect(normOf(clipped.flat())).toBeCloseTo(2.6, 5);
  });

  it('does not change gradients whose norm is below the limit, or at it', () => {
    expect(clip(14)).toEqual(parts);
    expect(clip(13)).toEqual(parts);
  });

  it('keeps the places of parameters without a gradient', () => {
    const [first, second, third] = clipByGlobalNorm([null, tf.tensor1d([6, 8]), null], 5);
    expect([first, third]).toEqual([null, null]);
    expectClose(valuesOf(second!), [3, 4], 1e-6);
    expect(clipByGlobalNorm([null, null], 1)).toEqual([null, null]);
  });

  it('leaves gradients of 0 at 0', () => {
    expect(valuesOf(clipByGlobalNorm([tf.zeros([3])], 1)[0]!)).toEqual([0, 0, 0]);
  });

  it('gives new tensors of the caller, and leaves nothing else behind', async () => {
    const given = [tf.tensor1d([3, 4]), null, tf.tensor1d([12])];
    await expectNoLeak(() => {
      for (const maxNorm of [1, 100]) {
        const clipped = clipByGlobalNorm(given, maxNorm);
        for (const gradient of clipped) gradient?.dispose();
      }
    });
    expect(given.map((gradient) => gradient?.isDisposed)).toEqual([false, undefined, false]);
  });
});
