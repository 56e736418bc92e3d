import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { expectSameOnBoth, loadBoth, tensor, tensor4d, tiedValues } from './compare.ts';

type Padding = 'same' | 'valid' | number;

beforeAll(loadBoth);

/** Gradients of `op` with respect to its inputs, for a gradient of the output that differs in every element. */
function gradientsOf(op: (...inputs: tf.Tensor[]) => tf.Tensor, inputs: tf.Tensor[]): tf.Tensor[] {
  return tf.grads(op)(inputs, tensor(op(...inputs).shape, 9));
}

const sizes = [6, 7, 9];
const strides = [1, 2, 3];
const paddings: Padding[] = ['same', 'valid'];

describe('convolution on wasm', () => {
  for (const filter of [1, 3, 5]) {
    for (const stride of strides) {
      for (const padding of paddings) {
        it(`equals the cpu backend's: ${filter}x${filter}, stride ${stride}, ${padding}`, async () => {
          for (const [channels, filters] of [
            [3, 4],
            [7, 12],
            [16, 6],
            [64, 20],
          ] as const) {
            await expectSameOnBoth(() => {
              const x = tensor4d([2, 11, 26, channels]);
              const w = tensor4d([filter, filter, channels, filters], 2);
              return [tf.conv2d(x, w, stride, padding)];
            });
          }
        });
      }
    }
  }

  it('equals with paddings of its own on each side, and with dilation', async () => {
    await expectSameOnBoth(() => {
      const x = tensor4d([2, 6, 9, 9]);
      const w = tensor4d([2, 4, 9, 8], 2);
      const sides: tf.backend_util.ExplicitPadding = [
        [0, 0],
        [0, 3],
        [2, 1],
        [0, 0],
      ];
      return [tf.conv2d(x, w, [2, 1], sides), tf.conv2d(x, w, 1, 'same', 'NHWC', 2)];
    });
  });

  it('is not disturbed by what the heap held before, nor by a heap that grows', async () => {
    await expectSameOnBoth(() => {
      const w = tensor4d([3, 3, 8, 8], 2);
      tf.tidy(() => tf.fill([64, 64, 64, 8], Number.NaN));
      const results = Array.from({ length: 3 }, (_, i) => tf.conv2d(tensor4d([1, 6, 9, 8], i), w, 1, 'same'));
      tf.tidy(() => tf.zeros([2 ** 24]));
      return [...results, tf.conv2d(tensor4d([1, 6, 9, 8], 9), w, 1, 'same')];
    });
  });
});

describe('convolution gradients on wasm', () => {
  for (const filter of [1, 3, 5]) {
    for (const stride of strides) {
      for (const padding of paddings) {
        it(`equal the cpu backend's: ${filter}x${filter}, stride ${stride}, ${padding}`, async () => {
          for (const size of sizes) {
            for (const [channels, filters] of [
              [1, 16],
              [3, 1],
              [16, 3],
              [6, 12],
            ] as const) {
              await expectSameOnBoth(() => {
                const x = tensor4d([2, size, size + 1, channels]);
                const w = tensor4d([filter, filter, channels, filters], 2);
                const op = (...[a, b]: tf.Tensor[]) =>
                  tf.conv2d(a as tf.Tensor4D, b as tf.Tensor4D, stride, padding);
                return gradientsOf(op, [x, w]);
              });
            }
          }
        });
      }
    }
  }

  it('equal with a padding larger than the filter, rectangular filters and unequal strides', async () => {
    for (const [height, width, strideY, strideX, padding] of [
      [2, 2, 1, 1, 3],
      [2, 3, 2, 1, 5],
      [1, 3, 1, 2, 1],
      [4, 1, 3, 2, 0],
    ] as const) {
      await expectSameOnBoth(() => {
        const x = tensor4d([2, 8, 7, 3]);
        const w = tensor4d([height, width, 3, 4], 2);
        const around: [number, number] = [padding, padding];
        // A padding given as one number makes TensorFlow.js take filter and stride for square.
        const op = (...[a, b]: tf.Tensor[]) =>
          tf.conv2d(a as tf.Tensor4D, b as tf.Tensor4D, [strideY, strideX], [[0, 0], around, around, [0, 0]]);
        return gradientsOf(op, [x, w]);
      });
    }
  });

  it('equal when the images take several blocks', async () => {
    await expectSameOnBoth(() => {
      const x = tensor4d([7, 5, 20, 4]);
      const dy = tensor4d([7, 5, 20, 64], 3);
      return [tf.grad((w) => tf.conv2d(x, w as tf.Tensor4D, 1, 'same'))(tensor4d([3, 3, 4, 64], 2), dy)];
    });
  });
});

describe('depthwise convolution gradients on wasm', () => {
  for (const filter of [1, 3, 5]) {
    for (const stride of strides) {
      for (const padding of paddings) {
        it(`equal the cpu backend's: ${filter}x${filter}, stride ${stride}, ${padding}`, async () => {
          for (const size of sizes) {
            for (const [channels, multiplier] of [
              [1, 1],
              [3, 2],
              [16, 1],
            ] as const) {
              await expectSameOnBoth(() => {
                const x = tensor4d([2, size, size + 1, channels]);
                const w = tensor4d([filter, filter, channels, multiplier], 2);
                const op = (...[a, b]: tf.Tensor[]) =>
                  tf.depthwiseConv2d(a as tf.Tensor4D, b as tf.Tensor4D, stride, padding);
                return gradientsOf(op, [x, w]);
              });
            }
          }
        });
      }
    }
  }
});

describe('max pooling gradient on wasm', () => {
  for (const [size, stride] of [
    [2, 2],
    [3, 2],
    [2, 1],
    [3, 3],
  ] as const) {
    for (const padding of paddings) {
      it(`goes to the same element as on cpu, also on ties: ${size}x${size}, stride ${stride}, ${padding}`, async () => {
        for (const side of sizes) {
          for (const channels of [1, 3, 16]) {
            await expectSameOnBoth(() => {
              const shape: [number, number, number, number] = [2, side, side + 1, channels];
              const x = tf.tensor4d(tiedValues(tf.util.sizeFromShape(shape)), shape);
              return gradientsOf((a) => tf.maxPool(a as tf.Tensor4D, size, stride, padding), [x]);
            }, 1e-6);
          }
        }
      });
    }
  }

  it('gives a tied window its gradient once', async () => {
    const dx = tf.grad((x) => tf.maxPool(x as tf.Tensor4D, 2, 2, 'valid'))(
      tf.zeros([1, 2, 2, 1]),
      tf.ones([1, 1, 1, 1]),
    );
    expect([...(await dx.data())]).toEqual([1, 0, 0, 0]);
  });
});

describe('matrix product on wasm', () => {
  const shapes: [a: number[], b: number[]][] = [
    [
      [5, 7],
      [7, 3],
    ],
    [
      [1, 5, 7],
      [1, 7, 3],
    ],
    [
      [4, 5, 7],
      [4, 7, 3],
    ],
    [
      [4, 5, 7],
      [1, 7, 3],
    ],
    [
      [2, 3, 5, 7],
      [2, 3, 7, 2],
    ],
  ];
  for (const transposeA of [false, true]) {
    for (const transposeB of [false, true]) {
      it(`equals the cpu backend's, transposed: ${transposeA}, ${transposeB}`, async () => {
        for (const [aShape, bShape] of shapes) {
          await expectSameOnBoth(() => {
            const swap = (shape: number[]) => [...shape.slice(0, -2), shape.at(-1)!, shape.at(-2)!];
            const a = tensor(transposeA ? swap(aShape) : aShape);
            const b = tensor(transposeB ? swap(bShape) : bShape, 2);
            return [tf.matMul(a, b, transposeA, transposeB)];
          });
        }
      });
    }
  }
});

describe('reductions on wasm', () => {
  const cases: [shape: number[], axes: number[]][] = [
    [[64, 5], [0]],
    [[7, 5], [0]],
    [
      [8, 6, 6, 3],
      [0, 1, 2],
    ],
    [
      [5, 3, 3, 16],
      [0, 1, 2],
    ],
    [
      [4, 7, 7, 16],
      [1, 2],
    ],
    [
      [4, 8, 8, 3],
      [2, 1],
    ],
    [
      [4, 7, 5, 3],
      [0, 2],
    ],
    [[4, 6], [1]],
    [
      [4, 6],
      [0, 1],
    ],
    [[4, 6, 1], [0]],
  ];
  for (const [shape, axes] of cases) {
    it(`equal the cpu backend's: [${shape}] over [${axes}]`, async () => {
      await expectSameOnBoth(() => {
        const x = tensor(shape);
        return [tf.sum(x, axes), tf.sum(x, axes, true), tf.mean(x, axes), tf.mean(x, axes, true)];
      }, 1e-6);
    });
  }

  it('sum whole numbers without error', async () => {
    await expectSameOnBoth(() => [tf.sum(tf.tensor2d(tiedValues(1000 * 3), [1000, 3]), 0)], 0);
    await expectSameOnBoth(() => [tf.sum(tf.tensor2d(tiedValues(1024 * 3), [1024, 3]), 0)], 0);
    // So wide a row does not fit where XNNPACK keeps its sums.
    await expectSameOnBoth(() => [tf.sum(tf.tensor2d(tiedValues(8 * 16_384), [8, 16_384]), 0)], 0);
  });

  it('keep the type of integers', async () => {
    await tf.setBackend('wasm');
    const total = tf.sum(tf.tensor2d([1, 2, 3, 4], [2, 2], 'int32'), 0);
    expect(total.dtype).toBe('int32');
    expect([...(await total.data())]).toEqual([4, 6]);
  });
});

describe('element-wise operations with one value a channel on wasm', () => {
  const cases: [a: number[], b: number[]][] = [
    [[4, 4, 4, 3], [3]],
    [[3], [4, 4, 4, 3]],
    [
      [4, 4, 4, 16],
      [1, 1, 1, 16],
    ],
    [
      [6, 5],
      [1, 5],
    ],
    [[5, 3], [3]],
    [[64, 700], [700]],
    [
      [4, 2, 3],
      [2, 3],
    ],
    [
      [4, 4],
      [4, 1],
    ],
    [[8, 8], [1]],
    [[8], [1, 1, 8]],
    [[0, 3], [3]],
  ];
  for (const [a, b] of cases) {
    it(`equal the cpu backend's: [${a}] and [${b}]`, async () => {
      await expectSameOnBoth(() => {
        const [x, y] = [tensor(a), tf.add(tensor(b, 2), 2)];
        return [tf.add(x, y), tf.sub(x, y), tf.mul(x, y), tf.div(x, y)];
      }, 1e-6);
    });
  }

  it('keep the type of integers', async () => {
    await tf.setBackend('wasm');
    const sum = tf.add(tf.ones([4, 3], 'int32'), tf.tensor1d([1, 2, 3], 'int32'));
    expect(sum.dtype).toBe('int32');
    expect([...(await sum.data())]).toEqual([2, 3, 4, 2, 3, 4, 2, 3, 4, 2, 3, 4]);
  });
});

describe('tiling on wasm', () => {
  for (const [shape, reps] of [
    [
      [1, 1, 1, 3],
      [2, 4, 4, 1],
    ],
    [
      [2, 3],
      [3, 2],
    ],
    [[3], [5]],
    [
      [2, 1, 2],
      [1, 1, 1],
    ],
    [
      [2, 3],
      [2, 0],
    ],
  ]) {
    it(`equals the cpu backend's: [${shape}] by [${reps}]`, async () => {
      await expectSameOnBoth(() => [tf.tile(tensor(shape!), reps!)], 0);
    });
  }
});

describe('slicing on wasm', () => {
  for (const [shape, begin, size] of [
    [
      [4, 5, 6, 3],
      [0, 1, 2, 0],
      [4, 3, 2, 3],
    ],
    [
      [4, 5, 6, 3],
      [1, 0, 0, 0],
      [2, 5, 6, 3],
    ],
    [
      [4, 5, 6, 3],
      [1, 2, 3, 1],
      [3, 2, 1, 1],
    ],
    [
      [4, 5, 6, 3],
      [0, 0, 0, 0],
      [4, 5, 6, 3],
    ],
    [
      [7, 5],
      [2, 1],
      [-1, 3],
    ],
    [[7], [2], [3]],
    [
      [7, 5],
      [2, 5],
      [3, 0],
    ],
  ]) {
    it(`equals the cpu backend's: [${shape}] from [${begin}], [${size}]`, async () => {
      await expectSameOnBoth(() => [tf.slice(tensor(shape!), begin!, size!)], 0);
    });
  }
});

describe('batch normalisation on wasm', () => {
  it("equals the cpu backend's, and so do its gradients", async () => {
    await expectSameOnBoth(() => {
      const vectors = [2, 3, 4, 5].map((seed) => tf.add(tensor([6], seed), 2));
      const op = (...[x, mean, variance, offset, scale]: tf.Tensor[]) =>
        tf.batchNorm(
          x!,
          mean as tf.Tensor1D,
          variance as tf.Tensor1D,
          offset as tf.Tensor1D,
          scale as tf.Tensor1D,
        );
      return [op(tensor([2, 4, 4, 6]), ...vectors), ...gradientsOf(op, [tensor([2, 4, 4, 6]), ...vectors])];
    });
  });

  it('needs neither offset nor scale', async () => {
    await expectSameOnBoth(() => [
      tf.batchNorm(tensor([2, 3, 3, 6]), tf.zeros([6]) as tf.Tensor1D, tf.ones([6]) as tf.Tensor1D),
    ]);
  });
});

describe('copies on wasm', () => {
  it('share their values, and keep them when the original ends or changes', async () => {
    await tf.setBackend('wasm');
    const original = tf.variable(tf.tensor1d([1, 2, 3]));
    const copies = [tf.clone(original), tf.cast(original, 'float32'), tf.cast(original, 'int32')];
    original.assign(tf.tensor1d([4, 5, 6]));
    original.dispose();
    const later = tf.fill([3], 7);
    for (const copy of copies) expect([...(await copy.data())]).toEqual([1, 2, 3]);
    expect(copies.map(({ dtype }) => dtype)).toEqual(['float32', 'float32', 'int32']);
    tf.dispose([...copies, later]);
  });
});

describe('segment sum on wasm', () => {
  it('gives the gradient of gathered rows, also of rows gathered twice or never', async () => {
    await expectSameOnBoth(() => {
      const ids = tf.tensor1d([3, 0, 3, 1], 'int32');
      return gradientsOf((x) => tf.gather(x, ids), [tensor([5, 6])]);
    });
  });

  it('leaves out ids that are no segment', async () => {
    const ids = () => tf.tensor1d([0, -1, 5, 1], 'int32');
    await tf.setBackend('wasm');
    const sums = tf.unsortedSegmentSum(tf.tensor1d([1, 2, 4, 8]), ids(), 2);
    expect([...(await sums.data())]).toEqual([1, 8]);
  });
});

describe('gradients of a whole network on wasm', () => {
  it('equal the cpu backend', async () => {
    await expectSameOnBoth(() => {
      /** Convolution, relu, pooling, dense: the mean of squares of its outputs. */
      const loss = (...[x, filter, weights, bias]: tf.Tensor[]) => {
        const maps = tf.relu(tf.conv2d(x as tf.Tensor4D, filter as tf.Tensor4D, 1, 'same'));
        const flat = tf.reshape(tf.maxPool(maps as tf.Tensor4D, 2, 2, 'same'), [3, 64]);
        return tf.mean(tf.square(tf.add(tf.matMul(flat, weights!), bias!)));
      };
      return tf.grads(loss)([
        tensor([3, 7, 7, 2]),
        tensor([3, 3, 2, 4], 2),
        tensor([64, 5], 3),
        tensor([5], 4),
      ]);
    });
  });

  /** The gradient of a function that is linear in its input, so that a difference of any size gives it exactly. */
  async function expectDifferenceQuotient(
    linear: (x: tf.Tensor) => tf.Tensor,
    shape: number[],
  ): Promise<void> {
    await tf.setBackend('wasm');
    const gradient = await tf
      .grad((x) => tf.sum(linear(x)))(tensor(shape))
      .data();
    for (const element of [0, 5, gradient.length - 1]) {
      const unit = tf.oneHot(element, gradient.length).reshape(shape).cast('float32');
      const [change] = await tf.sum(linear(unit)).data();
      expect(gradient[element]).toBeCloseTo(change!, 4);
    }
  }

  it('equal the difference quotient', async () => {
    const x = tensor4d([2, 7, 8, 3]);
    const w = tensor4d([3, 3, 3, 2], 2);
    const [weights, deep] = [tensor([2, 4, 4, 2], 3), tensor([2, 4, 4, 6], 3)];
    const convolve = (a: tf.Tensor, b: tf.Tensor) =>
      tf.mul(tf.conv2d(a as tf.Tensor4D, b as tf.Tensor4D, 2, 'same'), weights);
    const convolveDepthwise = (a: tf.Tensor, b: tf.Tensor) =>
      tf.mul(tf.depthwiseConv2d(a as tf.Tensor4D, b as tf.Tensor4D, 2, 'same'), deep);
    for (const op of [convolve, convolveDepthwise]) {
      await expectDifferenceQuotient((a) => op(a, w), x.shape);
      await expectDifferenceQuotient((b) => op(x, b), w.shape);
    }
  });
});
