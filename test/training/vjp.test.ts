import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { vjp } from '../../src/training/vjp.ts';
import { expectClose, expectNoLeak } from '../support/tensors.ts';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

/** A small conv net with two outputs: logits `[2, 3]` and the embedding `[2, 8]`. */
function createNet(seed: number) {
  const kernel = tf.variable(tf.randomNormal([3, 3, 1, 2], 0, 0.5, 'float32', seed));
  const dense = tf.variable(tf.randomNormal([32, 8], 0, 0.5, 'float32', seed + 1));
  const head = tf.variable(tf.randomNormal([8, 3], 0, 0.5, 'float32', seed + 2));
  const variables = [kernel, dense, head];
  const forward = (images: tf.Tensor4D): [tf.Tensor, tf.Tensor] => {
    const map = tf.relu(tf.conv2d(images, kernel as tf.Tensor4D, 1, 'same'));
    const embedding = tf.tanh(tf.matMul(tf.reshape(map, [2, 32]), dense as tf.Tensor2D));
    return [tf.matMul(embedding as tf.Tensor2D, head as tf.Tensor2D), embedding];
  };
  return { variables, forward, dispose: () => tf.dispose(variables) };
}

const images = (seed: number) => tf.randomNormal([2, 4, 4, 1], 0, 1, 'float32', seed) as tf.Tensor4D;

async function read(tensors: readonly (tf.Tensor | null)[]): Promise<number[][]> {
  return Promise.all(tensors.map(async (t) => [...(await t!.data())]));
}

describe('vjp', () => {
  it('gives the gradients of variableGrads when a pause lies between the halves', async () => {
    const net = createNet(1);
    const x = images(2);
    const loss = (logits: tf.Tensor) => tf.sum(tf.square(logits)) as tf.Scalar;
    const reference = tf.variableGrads(() => loss(net.forward(x)[0]), net.variables as tf.Variable[]);
    const expected = await read(net.variables.map((v) => reference.grads[(v as tf.Variable).name]!));

    const pass = vjp(() => [net.forward(x)[0]], net.variables);
    await new Promise((resolve) => setImmediate(resolve));
    const dy = tf.tidy(() => tf.mul(pass.outputs[0]!, 2));
    const actual = await read(pass.backward([dy]));

    for (const [i, values] of expected.entries()) expectClose(actual[i]!, values, 1e-6);
  });

  it('adds up the gradients of several outputs, and leaves out those without a cotangent', async () => {
    const net = createNet(3);
    const x = images(4);
    const [dLogits, dEmbedding] = [tf.randomNormal([2, 3], 0, 1, 'float32', 5), tf.randomNormal([2, 8])];
    const both = await read(vjp(() => net.forward(x), net.variables).backward([dLogits, dEmbedding]));
    const first = await read(vjp(() => net.forward(x), net.variables).backward([dLogits, null]));
    const second = vjp(() => net.forward(x), net.variables).backward([null, dEmbedding]);

    expect(second[2], 'the head has no influence on the embedding').toBeNull();
    const parts = await read(second.slice(0, 2));
    for (const [i, part] of parts.entries()) {
      expectClose(
        both[i]!,
        part.map((value, k) => value + first[i]![k]!),
        1e-6,
      );
    }
    expectClose(both[2]!, first[2]!, 1e-6);
  });

  it('keeps two passes in flight apart, whichever is finished first', async () => {
    const net = createNet(6);
    const [xa, xb] = [images(7), images(8)];
    const dy = tf.ones([2, 3]);
    const alone = async (x: tf.Tensor4D) =>
      read(vjp(() => [net.forward(x)[0]], net.variables).backward([dy]));
    const [expectedA, expectedB] = [await alone(xa), await alone(xb)];

    const a = vjp(() => [net.forward(xa)[0]], net.variables);
    const b = vjp(() => [net.forward(xb)[0]], net.variables);
    const actualA = await read(a.backward([dy]));
    const actualB = await read(b.backward([dy]));
    expect(actualA).toEqual(expectedA);
    expect(actualB).toEqual(expectedB);
  });

  it('uses the weights of its own forward pass after the variables were updated', async () => {
    const net = createNet(9);
    const x = images(10);
    const dy = tf.ones([2, 3]);
    const expected = await read(vjp(() => [net.forward(x)[0]], net.variables).backward([dy]));
    const pass = vjp(() => [net.forward(x)[0]], net.variables);
    for (const v of net.variables as tf.Variable[]) v.assign(tf.tidy(() => tf.mul(v, 3)));
    expect(await read(pass.backward([dy]))).toEqual(expected);
  });

  it('leaks nothing: finished, abandoned, failed in the forward or in the backward half', async () => {
    const net = createNet(11);
    const x = images(12);
    const dy = tf.ones([2, 3]);
    const wrong = tf.ones([5, 7]);
    await expectNoLeak(async () => {
      for (const grad of vjp(() => [net.forward(x)[0]], net.variables).backward([dy])) grad?.dispose();
      const abandoned = vjp(() => net.forward(x), net.variables);
      abandoned.dispose();
      abandoned.dispose();
      expect(() =>
        vjp(() => {
          net.forward(x);
          throw new Error('forward failed');
        }, net.variables),
      ).toThrow('forward failed');
      const failing = vjp(() => [net.forward(x)[0]], net.variables);
      expect(() => failing.backward([wrong])).toThrow();
      failing.dispose();
    });
  });

  it('refuses a second backward pass and a wrong number of cotangents', () => {
    const net = createNet(13);
    const x = images(14);
    const dy = tf.ones([2, 3]);
    const pass = vjp(() => [net.forward(x)[0]], net.variables);
    expect(() => pass.backward([dy, dy])).toThrow('expected 1 cotangents, got 2');
    for (const grad of pass.backward([dy])) grad?.dispose();
    expect(() => pass.backward([dy])).toThrow('already closed');
  });

  it('leaves ordinary gradients working before, between and after its halves', async () => {
    const net = createNet(15);
    const x = images(16);
    const ordinary = async () => [
      ...(await tf
        .grad((t) => tf.sum(tf.square(t)))(tf.tensor1d([1, 2]))
        .data()),
    ];
    const pass = vjp(() => [net.forward(x)[0]], net.variables);
    expect(await ordinary()).toEqual([2, 4]);
    for (const grad of pass.backward([tf.ones([2, 3])])) grad?.dispose();
    expect(await ordinary()).toEqual([2, 4]);
  });
});
