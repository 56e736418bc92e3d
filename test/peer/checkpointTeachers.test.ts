import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Checkpoint } from '../../peer/checkpointInbox.ts';
import { type CheckpointOptions, checkpointTeachers } from '../../peer/checkpointTeachers.ts';
import type { TeacherSource } from '../../peer/teachers.ts';
import { loadBackend } from '../../src/backend/select.ts';
import type { Model } from '../../src/models/types.ts';
import { decodeSafetensors, encodeSafetensors } from '../../src/training/safetensors.ts';
import { linearModel } from '../support/models.ts';
import { expectClose, expectNoLeak } from '../support/tensors.ts';

beforeAll(async () => {
  await loadBackend('wasm');
});

const modelOf = (values: readonly number[] = [0, 0]): Model => linearModel([values], [0, 0]);

/** The file of a model whose logits are `values` for an image of one pixel that is 1. */
function fileOf(values: readonly number[]): Uint8Array {
  const tensor = (shape: number[], numbers: readonly number[]) => ({
    ...{ dtype: 'F32' as const, shape, values: Float32Array.from(numbers) },
  });
  const tensors = new Map([
    ['weight', tensor([1, 2], values)],
    ['shift', tensor([2], [0, 0])],
  ]);
  return encodeSafetensors(tensors, {});
}

/** An inbox that has what is given, and remembers what it was asked for. */
function inboxWith(files: Readonly<Record<string, readonly number[]>>) {
  const asked: string[] = [];
  const take = async (peer: string, step: number, patienceMs: number): Promise<Checkpoint | null> => {
    asked.push(`${peer} ${step} ${patienceMs}`);
    const values = files[`${peer} ${step}`];
    return values ? { step, bytes: fileOf(values) } : null;
  };
  return { asked, inbox: { receive: () => {}, take } };
}

interface Told {
  readonly source: TeacherSource;
  readonly sent: { readonly step: number; readonly values: number[] }[];
}

function teachersWith(
  model: Model,
  inbox: CheckpointOptions['inbox'],
  changes: Partial<CheckpointOptions> = {},
): Told {
  const sent: { step: number; values: number[] }[] = [];
  const source = checkpointTeachers({
    ...{ model, inbox, every: 5, firstStep: 10, temperature: 1, maxWaitMs: 77 },
    copies: new Map(['c', 'b'].map((peer) => [peer, modelOf()])),
    send: (step, bytes) => {
      const { values } = decodeSafetensors(bytes).tensors.get('weight')!;
      sent.push({ step, values: [...values] });
    },
    ...changes,
  });
  return { source, sent };
}

/** The probabilities that a step is taught; `null` without a target. */
async function taughtAt(source: TeacherSource, step: number): Promise<number[] | null> {
  const images = tf.ones([1, 1, 1, 1]) as tf.Tensor4D;
  const { target, waitedMs } = await source.teach({
    ...{ step, images, ids: Uint32Array.of(0), labels: Uint16Array.of(0) },
    student: { logits: tf.zeros([1, 2]).dispose() as never, features: {} },
  });
  expect(waitedMs).toBeGreaterThanOrEqual(0);
  images.dispose();
  if (!target) return null;
  const probabilities = tf.tidy(() => [...tf.softmax(target.logits!).dataSync()]);
  target.logits!.dispose();
  return probabilities;
}

const softmax = ([a, b]: readonly [number, number]): number[] => {
  const p = 1 / (1 + Math.exp(b - a));
  return [p, 1 - p];
};

describe('copies of the other peers as teachers', () => {
  it('get the weights that were sent one exchange before, when an exchange is due', async () => {
    await expectNoLeak(async () => {
      const files = { 'b 10': [2, 0], 'c 10': [0, 1], 'b 15': [5, 0], 'c 15': [0, 3] };
      const { asked, inbox } = inboxWith(files);
      const model = modelOf([7, 8]);
      const { source, sent } = teachersWith(model, inbox);
      const mean = (a: number[], b: number[]) => a.map((p, i) => (p + b[i]!) / 2);

      for (const step of [10, 11, 14]) expect(await taughtAt(source, step), `${step}`).toBeNull();
      expect(asked).toEqual([]);
      for (const step of [15, 16, 19])
        expectClose((await taughtAt(source, step))!, mean(softmax([2, 0]), softmax([0, 1])), 1e-6);
      expect(asked).toEqual(['c 10 77', 'b 10 77']);
      expectClose((await taughtAt(source, 20))!, mean(softmax([5, 0]), softmax([0, 3])), 1e-6);
      expect(sent).toEqual([10, 15, 20].map((step) => ({ step, values: [7, 8] })));
      source.dispose();
      model.dispose();
    });
  });

  it('are waited for all at once', async () => {
    const model = modelOf();
    const asked: string[] = [];
    const inbox: CheckpointOptions['inbox'] = {
      receive: () => {},
      async take(peer) {
        asked.push(peer);
        await new Promise(setImmediate);
        expect(asked).toEqual(['c', 'b']);
        return null;
      },
    };
    const { source } = teachersWith(model, inbox);
    for (const step of [10, 15]) expect(await taughtAt(source, step)).toBeNull();
    source.dispose();
    model.dispose();
  });

  it('send the weights as they are at that step', async () => {
    const model = modelOf([1, 2]);
    const { source, sent } = teachersWith(model, inboxWith({}).inbox);
    await taughtAt(source, 10);
    tf.tidy(() => model.parameters.get('weight')!.assign(tf.tensor2d([[3, 4]])));
    await taughtAt(source, 15);
    expect(sent).toEqual([
      { step: 10, values: [1, 2] },
      { step: 15, values: [3, 4] },
    ]);
    source.dispose();
    model.dispose();
  });

  it('are those alone whose weights have come; one that sends no more goes on as it was', async () => {
    const { inbox } = inboxWith({ 'c 15': [4, 0], 'b 20': [1, 0], 'c 20': [6, 0] });
    const model = modelOf();
    const { source } = teachersWith(model, inbox);
    for (const step of [10, 15]) expect(await taughtAt(source, step)).toBeNull();
    expectClose((await taughtAt(source, 20))!, softmax([4, 0]), 1e-6);
    const both = softmax([6, 0]).map((p, i) => (p + softmax([1, 0])[i]!) / 2);
    expectClose((await taughtAt(source, 25))!, both, 1e-6);
    expectClose((await taughtAt(source, 30))!, both, 1e-6);
    source.dispose();
    model.dispose();
  });

  it('are averaged at the temperature of the method, of their probabilities', async () => {
    const { inbox } = inboxWith({ 'b 10': [8, 0], 'c 10': [0, 0] });
    const model = modelOf();
    const { source } = teachersWith(model, inbox, { temperature: 4 });
    await taughtAt(source, 10);
    const softened = softmax([2, 0]).map((p) => (p + 0.5) / 2);
    // The target's probabilities at the temperature are the mean; at 1 they are its fourth power.
    const sharpened = softened.map((p) => p ** 4);
    const sum = sharpened[0]! + sharpened[1]!;
    expectClose(
      (await taughtAt(source, 15))!,
      sharpened.map((p) => p / sum),
      1e-5,
    );
    source.dispose();
    model.dispose();
  });

  it('take all that they hold with them', async () => {
    await expectNoLeak(async () => {
      const model = modelOf();
      const { source } = teachersWith(model, inboxWith({ 'b 10': [1, 0] }).inbox);
      for (const step of [10, 15]) await taughtAt(source, step);
      source.dispose();
      expect(model.parameters.get('weight')!.isDisposed).toBe(false);
      model.dispose();
    });
  });
});
