import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { generationTeachers, previousBatchTeachers, previousEpochTeachers } from '../../peer/selfTeachers.ts';
import type { Lesson, TeacherSource } from '../../peer/teachers.ts';
import { loadBackend } from '../../src/backend/select.ts';
import { batchOf } from '../../src/datasets/batchKinds.ts';
import { batchIds } from '../../src/datasets/sampler.ts';
import { linearModel } from '../support/models.ts';
import { expectNoLeak, rowsOf } from '../support/tensors.ts';

beforeAll(async () => {
  await loadBackend('wasm');
});

const CLASSES = 3;

interface Step {
  readonly ids: readonly number[];
  readonly step?: number;
  /** What the student says, row by row. */
  readonly says: readonly (readonly number[])[];
  readonly images?: tf.Tensor4D;
}

/** One step with a source: what it teaches, as rows. Everything of the step but what the source keeps is freed. */
async function taught(
  source: TeacherSource,
  { ids, step = 0, says, images }: Step,
): Promise<number[][] | null> {
  const logits = rowsOf(says.flat(), says[0]!.length);
  const lesson: Lesson = {
    step,
    ids: Uint32Array.from(ids),
    images: images ?? tf.zeros([ids.length, 1, 1, 1]),
    labels: Uint16Array.from(ids, (id) => id % CLASSES),
    student: { logits, features: {} },
  };
  const { target, waitedMs } = await source.teach(lesson);
  expect(waitedMs).toBe(0);
  const rows = target ? await target.logits!.array() : null;
  expect(target?.encodings ?? {}).toEqual({});
  tf.dispose([logits, target?.logits ?? [], images ? [] : lesson.images]);
  source.updated(step);
  return rows;
}

/** What a student says of samples at some time: numbers that tell both. */
const said = (ids: readonly number[], time: number): number[][] => ids.map((id) => [id, time, -id]);

describe('what a student said one epoch ago as teacher', () => {
  it('is nothing in the first epoch, and then what it said of the same samples, in whatever order', async () => {
    const source = previousEpochTeachers(4, CLASSES);
    expect(await taught(source, { ids: [2, 0], says: said([2, 0], 1) })).toBeNull();
    expect(await taught(source, { ids: [3, 1], says: said([3, 1], 1) })).toBeNull();
    expect(await taught(source, { ids: [0, 3], says: said([0, 3], 2) })).toEqual(said([0, 3], 1));
    expect(await taught(source, { ids: [1, 2], says: said([1, 2], 2) })).toEqual(said([1, 2], 1));
    expect(await taught(source, { ids: [3, 2], says: said([3, 2], 3) })).toEqual(said([3, 2], 2));
  });

  it('is the label of a sample of which nothing was said yet', async () => {
    const source = previousEpochTeachers(5, CLASSES);
    await taught(source, { ids: [0, 1], says: said([0, 1], 1) });
    const rows = (await taught(source, { ids: [4, 1], says: said([4, 1], 2) }))!;
    expect(rows[1]).toEqual([1, 1, -1]);
    const probabilities = tf.tidy(() => [...tf.softmax(tf.tensor1d(rows[0]!)).dataSync()]);
    expect(probabilities).toEqual([0, 1, 0]);
  });

  it('is what was said last of a sample that an epoch left out', async () => {
    const source = previousEpochTeachers(3, CLASSES);
    await taught(source, { ids: [0, 1], says: said([0, 1], 1) });
    await taught(source, { ids: [1, 2], says: said([1, 2], 2) });
    expect(await taught(source, { ids: [0, 2], says: said([0, 2], 3) })).toEqual([
      ...said([0], 1),
      ...said([2], 2),
    ]);
  });

  it('keeps nothing on the device, and changes with nothing that the student says later', async () => {
    const source = previousEpochTeachers(2, CLASSES);
    await expectNoLeak(async () => {
      for (let epoch = 1; epoch < 4; epoch++)
        await taught(source, { ids: [0, 1], says: said([0, 1], epoch) });
    });
  });
});

describe('what a student said one step ago as teacher', () => {
  const batchAt = (step: number) => [
    ...batchOf('overlapping', { seed: 1, step, batchSize: 2, count: 7 }, 0).ids,
  ];

  it('is nothing at first, and then what it said of the half that is there again', async () => {
    const source = previousBatchTeachers();
    for (let step = 0; step < 10; step++) {
      const ids = batchAt(step);
      const rows = await taught(source, { ids, step, says: said(ids, step) });
      const again = ids.slice(0, 2);
      expect(rows).toEqual(step === 0 ? null : said(again, step - 1));
    }
    source.dispose();
  });

  it('is nothing after steps that were left out, and goes on with the next one', async () => {
    const source = previousBatchTeachers();
    const at = (step: number) =>
      taught(source, { ids: batchAt(step), step, says: said(batchAt(step), step) });
    expect([await at(1), await at(3)]).toEqual([null, null]);
    expect(await at(4)).toEqual(said(batchAt(4).slice(0, 2), 3));
    source.dispose();
  });

  it('is nothing for batches that do not overlap', async () => {
    const source = previousBatchTeachers();
    for (let step = 0; step < 3; step++) {
      const ids = [...batchIds({ seed: 1, step, batchSize: 3, count: 9 })];
      expect(await taught(source, { ids, step, says: said(ids, step) })).toBeNull();
    }
    source.dispose();
  });

  it('keeps one batch of logits on the device, until it is disposed of', async () => {
    await expectNoLeak(async () => {
      const source = previousBatchTeachers();
      const before = tf.memory().numTensors;
      for (let step = 0; step < 4; step++) {
        await taught(source, { ids: batchAt(step), step, says: said(batchAt(step), step) });
        expect(tf.memory().numTensors - before).toBe(1);
      }
      source.dispose();
      source.dispose();
    });
  });
});

describe('the generation before as teacher', () => {
  it('says what its weights say, in evaluation mode, whatever the student says', async () => {
    const source = generationTeachers(
      linearModel(
        [
          [2, 0, 1],
          [4, 1, 0],
        ],
        [0.5, 0, 0],
      ),
    );
    const images = tf.tensor4d([1, 0, 0, 1], [2, 1, 1, 2]);
    for (const says of [said([0, 1], 1), said([0, 1], 2)]) {
      expect(await taught(source, { ids: [0, 1], says, images })).toEqual([
        [2.5, 0, 1],
        [4.5, 1, 0],
      ]);
    }
    images.dispose();
    source.dispose();
  });

  it('leaves its target alone behind, and takes the model with it', async () => {
    await expectNoLeak(async () => {
      const source = generationTeachers(linearModel([[2, 0, 1]], [0, 0, 0]));
      await taught(source, { ids: [0], says: said([0], 1) });
      source.dispose();
    });
  });
});
