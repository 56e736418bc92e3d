import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { loadBackend } from '../../src/backend/select.ts';
import { type AnyMethod, createObjective, type Request } from '../../src/distill/objective.ts';
import { type Method, type Modules, NO_MODULES } from '../../src/distill/types.ts';
import { batchLoss, type LossBatch } from '../../src/training/loss.ts';
import { crossEntropies, normals, numericGradient, sumOf } from '../support/numeric.ts';
import { expectClose, expectNoLeak, rowsOf } from '../support/tensors.ts';

beforeAll(async () => {
  await loadBackend('wasm');
});

const CLASSES = 4;
const WIDTH = 2;
const labels = [2, 0, 3];
const logits = normals(labels.length * CLASSES, 2, 'student');
const embedding = normals(labels.length * WIDTH, 1, 'embedding');
const encoding = normals(labels.length * WIDTH, 1, 'encoding');
const factor = normals(WIDTH, 1, 'factor');

const options = z.strictObject({ scale: z.number().default(1).describe('factor') });
type Options = z.infer<typeof options>;

const method = (name: string, changes: Partial<Method<Options>>): AnyMethod => ({
  ...{ name, summary: name, source: 'none', options, weights: { ce: 1, kd: 1 }, teachers: 'none' },
  ...changes,
});

/** The squares of the logits: needs nobody. */
const alone = method('alone', {
  loss: ({ student, options: { scale } }) =>
    tf.mul(tf.sum(tf.square(student.logits), 1), scale) as tf.Tensor1D,
});
const squares = (values: readonly number[]): number => sumOf(values.map((value) => value ** 2));

/** The squared distance of the embedding, each element times a parameter, from a teacher's. */
const taught = method('taught', {
  teachers: 'peers',
  needs: () => ({ logits: false, features: [{ layer: 'embedding', encoder: 'vector@1' }] }),
  loss: ({ student, teacher, modules }) => {
    const scaled = tf.mul(student.features.embedding!, modules.parameters.get('factor')!);
    return tf.sum(tf.square(tf.sub(scaled, teacher!.encodings.embedding!)), 1) as tf.Tensor1D;
  },
});
const distances = (f: readonly number[], w: readonly number[]): number =>
  squares(f.map((value, i) => value * w[i % WIDTH]! - encoding[i]!));

const modulesOf = (): Modules => ({
  parameters: new Map([['factor', tf.tidy(() => tf.variable(tf.tensor1d(factor)))]]),
  buffers: new Map(),
});

interface Given {
  readonly requests: readonly Request[];
  readonly ceWeight?: number;
  readonly standardise?: boolean;
  readonly batch?: Partial<LossBatch>;
  readonly untaught?: boolean;
}

/** What `batchLoss` gives of the logits and the embedding above, as numbers. */
function lossOf({ requests, ceWeight = 0.7, standardise = false, batch, untaught = false }: Given) {
  const objective = createObjective(requests, { ceWeight, standardise });
  const modules = requests.map(({ method: { name } }) => (name === 'taught' ? modulesOf() : NO_MODULES));
  const given: LossBatch = {
    student: { logits: rowsOf(logits, CLASSES), features: { embedding: rowsOf(embedding, WIDTH) } },
    labels: tf.tensor1d(labels, 'int32'),
    teacher: untaught ? null : { logits: null, encodings: { 'embedding:vector@1': rowsOf(encoding, WIDTH) } },
    ids: Uint32Array.from(labels.keys()),
    ...{ step: 9, share: 1, epoch: 3, epochs: 4 },
    ...batch,
  };
  const result = batchLoss(objective, modules, given);
  const numbers = (tensor: tf.Tensor | null) => tensor && [...tensor.dataSync()];
  return {
    outputs: result.outputs.map(numbers),
    modules: result.modules.map(numbers),
    sums: [...result.sums.dataSync()],
    weight: result.weight,
  };
}

const [rows] = [labels.length];
const supervised = (z: readonly number[]): number => sumOf(crossEntropies(z, CLASSES, labels)) / rows;
const both: readonly Request[] = [
  { method: alone, options: { scale: 2 }, weight: 0.5 },
  { method: taught, options: {}, weight: 3 },
];

describe('several terms', () => {
  it('are added up with their weights and the share of the schedule, in outputs and modules alike', () => {
    const { outputs, modules, sums, weight } = lossOf({ requests: both, batch: { share: 0.25 } });
    const loss = (z: readonly number[], f: readonly number[], w: readonly number[]): number =>
      // A quarter of the way from 1 to 0.7.
      0.925 * supervised(z) + (0.25 * (0.5 * 2 * squares(z) + 3 * distances(f, w))) / rows;
    expectClose(
      outputs[0]!,
      numericGradient((z) => loss(z, embedding, factor), logits),
      1e-6,
    );
    expectClose(
      outputs[1]!,
      numericGradient((f) => loss(logits, f, factor), embedding),
      1e-6,
    );
    expectClose(
      modules[0]!,
      numericGradient((w) => loss(logits, embedding, w), factor),
      1e-6,
    );
    // The distillation is the weighted mean of the terms, so that the loss is made of what is reported.
    const distillation = (0.5 * 2 * squares(logits) + 3 * distances(embedding, factor)) / 3.5;
    expectClose(
      sums.slice(0, 3),
      [rows * loss(logits, embedding, factor), rows * supervised(logits), distillation],
      1e-6,
    );
    expect(weight).toBeCloseTo(0.25 * 3.5, 12);
  });

  it('count without a teacher just where they need none', () => {
    const { outputs, modules, weight } = lossOf({ requests: both, untaught: true });
    const loss = (z: readonly number[]): number => 0.7 * supervised(z) + (0.5 * 2 * squares(z)) / rows;
    expectClose(outputs[0]!, numericGradient(loss, logits), 1e-6);
    expect([outputs[1], modules[0], weight]).toEqual([null, null, 0.5]);
  });

  it.each([
    ['nobody taught', { untaught: true }],
    ['of the burn-in', { batch: { share: 0 } }],
  ])('leave a step in which %s to the labels, which count in full', (_, given) => {
    const { outputs, weight } = lossOf({ requests: [{ method: taught, options: {} }], ...given });
    expectClose(outputs[0]!, numericGradient(supervised, logits), 1e-6);
    expect(weight).toBe(0);
  });

  it('leave nothing but their gradients and the sums behind', async () => {
    const objective = createObjective(both, { ceWeight: 1 });
    const modules = [NO_MODULES, modulesOf()];
    const batch: LossBatch = {
      student: { logits: rowsOf(logits, CLASSES), features: { embedding: rowsOf(embedding, WIDTH) } },
      labels: tf.tensor1d(labels, 'int32'),
      teacher: { logits: null, encodings: { 'embedding:vector@1': rowsOf(encoding, WIDTH) } },
      ids: Uint32Array.from(labels.keys()),
      ...{ step: 9, share: 1, epoch: 3, epochs: 4 },
    };
    await expectNoLeak(() => {
      const { outputs, modules: its, sums } = batchLoss(objective, modules, batch);
      for (const tensor of [...outputs, ...its, sums]) tensor?.dispose();
    });
  });
});

describe('a method', () => {
  it('that changes what is learnt from the labels takes the place of the cross-entropy', () => {
    const own = method('own', { supervised: alone.loss! });
    const { outputs, sums } = lossOf({ requests: [{ method: own, options: {} }] });
    expectClose(
      outputs[0]!,
      numericGradient((z) => (0.7 * squares(z)) / rows, logits),
      1e-6,
    );
    expectClose(sums.slice(0, 3), [0.7 * squares(logits), squares(logits), 0], 1e-6);
  });

  it('sees standardised logits where that is asked for, and the labels those of the student', () => {
    const { outputs, sums } = lossOf({ requests: [{ method: alone, options: {} }], standardise: true });
    // Their squares add up to the number of classes less one, whatever the logits.
    expectClose([sums[2]!], [rows * (CLASSES - 1)], 1e-5);
    expectClose(
      outputs[0]!,
      numericGradient((z) => 0.7 * supervised(z), logits),
      1e-5,
    );
  });

  it('of two phases learns from its own loss alone in the first, whole at once, and as usual afterwards', () => {
    const calls: number[] = [];
    const phased = method('phased', {
      loss: alone.loss!,
      init: {
        epochs: ({ scale }) => scale,
        loss: ({ student }) => tf.sum(student.logits, 1) as tf.Tensor1D,
      },
      afterStep: ({ epoch }) => void calls.push(epoch),
    });
    const at = (epoch: number) =>
      lossOf({ requests: [{ method: phased, options: { scale: 2 } }], batch: { epoch, share: 0.5 } });
    expect(at(1.99).outputs[0]).toEqual(logits.map(() => Math.fround(1 / rows)));
    expect(at(1.99).weight).toBe(1);
    expect(calls, 'nothing is kept of the first phase').toEqual([]);
    const loss = (z: readonly number[]): number => 0.85 * supervised(z) + (0.5 * 2 * squares(z)) / rows;
    expectClose(at(2).outputs[0]!, numericGradient(loss, logits), 1e-6);
    expect(calls).toEqual([2]);
  });

  it('keeps nothing of a step in which nobody taught', () => {
    const calls: number[] = [];
    const keeping = { ...taught, afterStep: () => void calls.push(1) };
    lossOf({ requests: [{ method: keeping, options: {} }], untaught: true });
    expect(calls).toEqual([]);
    lossOf({ requests: [{ method: keeping, options: {} }] });
    expect(calls).toEqual([1]);
  });
});
