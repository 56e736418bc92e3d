import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadBackend } from '../../src/backend/select.ts';
import { createSgd, type SgdOptions } from '../../src/training/sgd.ts';
import { normals } from '../support/numeric.ts';
import { expectClose, expectNoLeak } from '../support/tensors.ts';

beforeAll(async () => {
  await loadBackend('wasm');
});

const plain: SgdOptions = { momentum: 0, nesterov: false, weightDecay: 0 };
const RATES = [0.1, 0.3, 0.05, 0.2, 0.15];
const start = normals(3, 1, 'weights');
const gradients = RATES.map((_, step) => normals(3, 1, `gradient ${step}`));

const variable = (values: readonly number[]) => tf.tidy(() => tf.variable(tf.tensor1d([...values])));
const valuesOf = (tensor: tf.Tensor) => [...tensor.dataSync()];

/** The update rule of torch.optim.SGD, in float64, over all steps. */
function byHand({ momentum, nesterov, weightDecay }: SgdOptions): number[] {
  return start.map((initial, i) => {
    let w = initial;
    let v = 0;
    for (const [step, rate] of RATES.entries()) {
      const g = gradients[step]![i]! + weightDecay * w;
      v = momentum * v + g;
      w -= rate * (nesterov ? g + momentum * v : v);
    }
    return w;
  });
}

describe('stochastic gradient descent', () => {
  it.each<[string, Partial<SgdOptions>]>([
    ['alone', {}],
    ['with momentum', { momentum: 0.9 }],
    ['with Nesterov momentum', { momentum: 0.9, nesterov: true }],
    ['with weight decay', { weightDecay: 0.1 }],
    ['with all of them', { momentum: 0.8, nesterov: true, weightDecay: 0.1 }],
    ['with Nesterov of no momentum', { nesterov: true }],
  ])('%s takes the steps worked out in float64', (_, changes) => {
    const w = variable(start);
    const optimizer = createSgd(new Map([['w', w]]), { ...plain, ...changes });
    for (const [step, rate] of RATES.entries()) optimizer.apply([tf.tensor1d(gradients[step]!)], rate, step);
    expectClose(valuesOf(w), byHand({ ...plain, ...changes }), 1e-6);
  });

  it('takes two steps with momentum as on paper', () => {
    const w = variable([1]);
    const optimizer = createSgd(new Map([['w', w]]), { ...plain, momentum: 0.5 });
    optimizer.apply([tf.tensor1d([2])], 0.1, 0);
    // v = 2, w = 1 - 0.2; then v = 0.5 · 2 + 1 = 2, w = 0.8 - 0.2.
    optimizer.apply([tf.tensor1d([1])], 0.1, 0);
    expectClose(valuesOf(w), [0.6], 1e-7);
  });

  it('leaves a parameter without a gradient, and its velocity, as they are', () => {
    const [a, b] = [variable([1, 2]), variable([3])];
    const parameters = new Map([
      ['a', a],
      ['b', b],
    ]);
    const optimizer = createSgd(parameters, { momentum: 0.9, nesterov: false, weightDecay: 0.1 });
    optimizer.apply([tf.tensor1d([1, 1]), tf.tensor1d([1])], 0.1, 0);
    const [before, velocity] = [valuesOf(a), valuesOf(optimizer.slots.get('a.velocity')!)];
    optimizer.apply([null, tf.tensor1d([1])], 0.1, 0);
    expect(valuesOf(a)).toEqual(before);
    expect(valuesOf(optimizer.slots.get('a.velocity')!)).toEqual(velocity);
    // g = 1.3, v = 1.3, w = 2.87; then g = 1.287, v = 2.457, w = 2.6243.
    expectClose(valuesOf(b), [2.6243], 1e-6);
  });

  it('has a velocity for each parameter, in their order, and none without momentum', () => {
    const parameters = new Map([
      ['conv.weight', variable([1])],
      ['fc.bias', variable([2])],
    ]);
    const withMomentum = createSgd(parameters, { ...plain, momentum: 0.9 });
    expect([...withMomentum.slots.keys()]).toEqual(['conv.weight.velocity', 'fc.bias.velocity']);
    expect(createSgd(parameters, plain).slots.size).toBe(0);
  });

  it('leaves nothing behind when it is disposed of, and never the gradients', async () => {
    const parameters = new Map([['w', variable(start)]]);
    const gradient = tf.tensor1d([1, 2, 3]);
    await expectNoLeak(() => {
      const optimizer = createSgd(parameters, { momentum: 0.9, nesterov: true, weightDecay: 0.1 });
      optimizer.apply([gradient], 0.1, 0);
      optimizer.apply([gradient], 0.1, 0);
      optimizer.dispose();
    });
    expect(gradient.isDisposed).toBe(false);
  });
});
