import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadBackend } from '../../src/backend/select.ts';
import { crossEntropy } from '../../src/distill/crossEntropy.ts';
import { getMethod } from '../../src/distill/index.ts';
import { createObjective } from '../../src/distill/objective.ts';
import { NO_MODULES } from '../../src/distill/types.ts';
import { type BatchLoss, batchLoss } from '../../src/training/loss.ts';
import { vjp } from '../../src/training/vjp.ts';
import { crossEntropies, divergences, normals, numericGradient, sumOf } from '../support/numeric.ts';
import { expectClose, expectNoLeak, gradientOf, rowsOf } from '../support/tensors.ts';

beforeAll(async () => {
  await loadBackend('wasm');
});

const CLASSES = 4;
const labels = [2, 0, 3];
const logits = normals(labels.length * CLASSES, 2, 'student');
const teacher = normals(labels.length * CLASSES, 2, 'teacher');
const weights = { ceWeight: 0.7, kdWeight: 1.5, temperature: 2 };

const meanOf = (values: readonly number[]) => sumOf(values) / values.length;
const labelTensor = () => tf.tensor1d(labels, 'int32');

/** The mean loss of the batch, from its definition. */
function meanLoss(z: readonly number[], { ceWeight, kdWeight, temperature: T } = weights): number {
  const distillation = divergences(z, teacher, CLASSES, T).map((value) => T * T * value);
  return ceWeight * meanOf(crossEntropies(z, CLASSES, labels)) + kdWeight * meanOf(distillation);
}

interface Weights {
  readonly ceWeight: number;
  readonly kdWeight: number;
  readonly temperature: number;
}

/** `batchLoss` with one method that has no modules, on the logits alone; all at the end of the schedules. */
function batchLossOf(
  method: string,
  z: tf.Tensor2D,
  y: tf.Tensor1D,
  target: tf.Tensor2D | null,
  { ceWeight, kdWeight, temperature }: Weights,
): BatchLoss {
  const options = 'temperature' in (getMethod(method).options.parse({}) as object) ? { temperature } : {};
  const objective = createObjective([{ method: getMethod(method), options, weight: kdWeight }], { ceWeight });
  return batchLoss(objective, [NO_MODULES], {
    student: { logits: z, features: {} },
    labels: y,
    teacher: target && { logits: target, encodings: {} },
    ids: Uint32Array.from(labels.keys()),
    ...{ step: 9, share: 1, epoch: 3, epochs: 4 },
  });
}

/** What `batchLoss` gives, as numbers. */
function lossOf(method: string, target: readonly number[] | null, given: Weights = weights) {
  const [z, y] = [rowsOf(logits, CLASSES), labelTensor()];
  const targetRows = target && rowsOf(target, CLASSES);
  const { outputs, modules, sums } = batchLossOf(method, z, y, targetRows, given);
  expect([outputs.length, modules.length], 'no features and no modules').toEqual([1, 0]);
  const numbers = { gradient: [...outputs[0]!.dataSync()], sums: [...sums.dataSync()] };
  tf.dispose([z, y, targetRows, ...outputs, sums].filter((tensor) => tensor !== null));
  return numbers;
}

describe('the gradient of a batch', () => {
  it.each([
    ['both terms', weights],
    ['distillation alone', { ...weights, ceWeight: 0 }],
    ['another temperature', { ...weights, temperature: 5 }],
  ])('is that of central differences of the mean loss, with %s', (_, given) => {
    const numeric = numericGradient((z) => meanLoss(z, given), logits);
    expectClose(lossOf('dml', teacher, given).gradient, numeric, 1e-6);
  });

  it('is exactly that of the cross-entropy when nobody teaches, for whatever reason', () => {
    const supervised = { ...weights, ceWeight: 1 };
    const y = labelTensor();
    const expected = gradientOf((z) => tf.mean(crossEntropy(z, y)), logits, CLASSES);
    expect(lossOf('independent', null, supervised).gradient).toEqual(expected);
    expect(lossOf('independent', teacher, supervised).gradient).toEqual(expected);
    expect(lossOf('dml', null, supervised).gradient).toEqual(expected);
    expect(lossOf('dml', teacher, { ...supervised, kdWeight: 0 }).gradient).toEqual(expected);
  });

  it('goes on through a network whose forward pass lies before it', () => {
    const inputs = normals(labels.length * 2, 1, 'inputs');
    const kernel = normals(2 * CLASSES, 1, 'kernel');
    const network = (w: readonly number[]) =>
      Array.from({ length: labels.length * CLASSES }, (_, i) => {
        const [row, c] = [Math.floor(i / CLASSES), i % CLASSES];
        return inputs[2 * row]! * w[c]! + inputs[2 * row + 1]! * w[CLASSES + c]!;
      });
    const actual = tf.tidy(() => {
      const [x, w] = [rowsOf(inputs, 2), rowsOf(kernel, CLASSES)];
      const pass = vjp(() => [tf.matMul(x, w)], [w]);
      const target = rowsOf(teacher, CLASSES);
      const z = pass.outputs[0] as tf.Tensor2D;
      const { outputs } = batchLossOf('dml', z, labelTensor(), target, weights);
      return [...pass.backward(outputs)[0]!.dataSync()];
    });
    const numeric = numericGradient((w) => meanLoss(network(w)), kernel);
    expectClose(actual, numeric, 2e-6);
  });
});

describe('the sums of a batch', () => {
  it('are loss, cross-entropy, distillation and correct predictions', () => {
    const ce = sumOf(crossEntropies(logits, CLASSES, labels));
    const kd = sumOf(divergences(logits, teacher, CLASSES, 2).map((value) => 4 * value));
    const predictions = labels.map((_, row) => {
      const values = logits.slice(row * CLASSES, (row + 1) * CLASSES);
      return values.indexOf(Math.max(...values));
    });
    const correct = predictions.filter((predicted, row) => predicted === labels[row]).length;
    expectClose(lossOf('dml', teacher).sums, [0.7 * ce + 1.5 * kd, ce, kd, correct], 1e-6);
  });

  it('count no distillation, and the labels in full, when nobody teaches, for whatever reason', () => {
    const ce = sumOf(crossEntropies(logits, CLASSES, labels));
    for (const { sums } of [lossOf('dml', null), lossOf('dml', teacher, { ...weights, kdWeight: 0 })]) {
      expectClose(sums.slice(0, 2), [ce, ce], 1e-6);
      expect(sums[2]).toBe(0);
    }
  });

  it('count every hit and no miss', () => {
    const certain = rowsOf([9, 0, 0, 9, 0, 9], 2);
    const correct = (classes: number[]) => {
      const y = tf.tensor1d(classes, 'int32');
      return batchLossOf('independent', certain, y, null, weights).sums.dataSync()[3];
    };
    expect([correct([0, 1, 1]), correct([0, 0, 1]), correct([1, 0, 0])]).toEqual([3, 2, 0]);
  });
});

it('a batch leaves its gradient and its sums behind, and nothing else', async () => {
  const [z, y, target] = [rowsOf(logits, CLASSES), labelTensor(), rowsOf(teacher, CLASSES)];
  for (const taught of [target, null]) {
    await expectNoLeak(() => {
      const { outputs, sums } = batchLossOf('dml', z, y, taught, weights);
      tf.dispose([outputs[0]!, sums]);
    });
  }
  expect([z.isDisposed, target.isDisposed], 'arguments stay the caller’s').toEqual([false, false]);
});
