import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  generationTeachers,
  ownTeachers,
  previousBatchTeachers,
  previousEpochTeachers,
} from '../../peer/selfTeachers.ts';
import type { Student } from '../../peer/student.ts';
import { type Lesson, noTeachers, type TeacherSource } from '../../peer/teachers.ts';
import { saveWeights } from '../../peer/weightFiles.ts';
import { loadBackend } from '../../src/backend/select.ts';
import type { RunSettings } from '../../src/config/schema.ts';
import { batchOf } from '../../src/datasets/batchKinds.ts';
import { methods } from '../../src/distill/index.ts';
import { DataError, UsageError } from '../../src/errors.ts';
import { linearModel } from '../support/models.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';
import { expectNoLeak, rowsOf } from '../support/tensors.ts';
import { createTinyStudent, settingsWith } from './support.ts';

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
  source.remember?.(lesson);
  tf.dispose([logits, target?.logits ?? [], images ? [] : lesson.images]);
  return rows;
}

/** What a student says of samples at some time: numbers that tell both. */
const said = (ids: readonly number[], time: number): number[][] => ids.map((id) => [id, time, 0 - id]);

/** A step in which nobody was asked, as in the burn-in. */
function untaught(source: TeacherSource, ids: readonly number[], time: number): void {
  const student = { logits: rowsOf(said(ids, time).flat(), CLASSES), features: {} };
  const labels = Uint16Array.from(ids, (id) => id % CLASSES);
  const images = tf.zeros<tf.Rank.R4>([ids.length, 1, 1, 1]);
  source.remember!({ step: time, ids: Uint32Array.from(ids), images, labels, student });
  tf.dispose([images, student.logits]);
}

/** Gives `to` what `from` remembers, as a checkpoint would: by name, as values. */
async function restore(to: TeacherSource, from: TeacherSource): Promise<void> {
  expect([...to.state.keys()]).toEqual([...from.state.keys()]);
  for (const [name, variable] of to.state) {
    const { shape } = from.state.get(name)!;
    const values = Float32Array.from(await from.state.get(name)!.data());
    tf.tidy(() => variable.assign(tf.tensor(values, shape)));
  }
}

const probabilities = (logits: readonly number[]): number[] =>
  tf.tidy(() => [...tf.softmax(tf.tensor1d([...logits])).dataSync()]);

describe('what a student said one epoch ago as teacher', () => {
  /** The class of each sample. */
  const labels = (count: number) => Uint16Array.from({ length: count }, (_, id) => id % CLASSES);

  it('is the label in the first epoch, and then what it said of the same samples, in whatever order', async () => {
    const source = previousEpochTeachers(labels(4), CLASSES);
    const first = [
      ...(await taught(source, { ids: [2, 0], says: said([2, 0], 1) }))!,
      ...(await taught(source, { ids: [3, 1], says: said([3, 1], 1) }))!,
    ];
    expect(first.map(probabilities)).toEqual([
      [0, 0, 1],
      [1, 0, 0],
      [1, 0, 0],
      [0, 1, 0],
    ]);
    expect(await taught(source, { ids: [0, 3], says: said([0, 3], 2) })).toEqual(said([0, 3], 1));
    expect(await taught(source, { ids: [1, 2], says: said([1, 2], 2) })).toEqual(said([1, 2], 1));
    expect(await taught(source, { ids: [3, 2], says: said([3, 2], 3) })).toEqual(said([3, 2], 2));
    source.dispose();
  });

  it('is what was said last of a sample that an epoch left out', async () => {
    const source = previousEpochTeachers(labels(3), CLASSES);
    await taught(source, { ids: [0, 1], says: said([0, 1], 1) });
    await taught(source, { ids: [1, 2], says: said([1, 2], 2) });
    expect(await taught(source, { ids: [0, 2], says: said([0, 2], 3) })).toEqual([
      ...said([0], 1),
      ...said([2], 2),
    ]);
    source.dispose();
  });

  it('is what it said in a step of the burn-in', async () => {
    const source = previousEpochTeachers(labels(2), CLASSES);
    untaught(source, [1, 0], 1);
    expect(await taught(source, { ids: [0, 1], says: said([0, 1], 2) })).toEqual(said([0, 1], 1));
    source.dispose();
  });

  it('goes on after its state was saved and restored', async () => {
    const [before, after] = [1, 2].map(() => previousEpochTeachers(labels(3), CLASSES)) as [
      TeacherSource,
      TeacherSource,
    ];
    await taught(before, { ids: [2, 0], says: said([2, 0], 1) });
    await restore(after, before);
    const rows = (await taught(after, { ids: [0, 1, 2], says: said([0, 1, 2], 2) }))!;
    expect([rows[0], probabilities(rows[1]!), rows[2]]).toEqual([
      said([0], 1)[0],
      [0, 1, 0],
      said([2], 1)[0],
    ]);
    for (const source of [before, after]) source.dispose();
  });

  it('keeps one memory on the device, until it is disposed of', async () => {
    await expectNoLeak(async () => {
      const source = previousEpochTeachers(labels(2), CLASSES);
      const before = tf.memory().numTensors;
      for (let epoch = 1; epoch < 4; epoch++) {
        await taught(source, { ids: [0, 1], says: said([0, 1], epoch) });
        expect(tf.memory().numTensors).toBe(before);
      }
      source.dispose();
    });
  });
});

describe('what a student said one step ago as teacher', () => {
  const BATCH = 2;
  const batchAt = (step: number) => [
    ...batchOf('overlapping', { seed: 1, step, batchSize: BATCH, count: 7 }, 0).ids,
  ];
  const at = (source: TeacherSource, step: number) =>
    taught(source, { ids: batchAt(step), step, says: said(batchAt(step), step) });

  it('is nothing at first, and then what it said of the half that is there again', async () => {
    const source = previousBatchTeachers(BATCH, CLASSES);
    for (let step = 0; step < 10; step++) {
      const again = batchAt(step).slice(0, BATCH);
      expect(await at(source, step)).toEqual(step === 0 ? null : said(again, step - 1));
    }
    source.dispose();
  });

  it('is nothing after steps that were left out, and goes on with the next one', async () => {
    const source = previousBatchTeachers(BATCH, CLASSES);
    expect([await at(source, 1), await at(source, 3)]).toEqual([null, null]);
    expect(await at(source, 4)).toEqual(said(batchAt(4).slice(0, BATCH), 3));
    source.dispose();
  });

  it('is what it said in a step of the burn-in', async () => {
    const source = previousBatchTeachers(BATCH, CLASSES);
    untaught(source, batchAt(5), 5);
    expect(await at(source, 6)).toEqual(said(batchAt(6).slice(0, BATCH), 5));
    source.dispose();
  });

  it('goes on after its state was saved and restored', async () => {
    const [before, after] = [1, 2].map(() => previousBatchTeachers(BATCH, CLASSES)) as [
      TeacherSource,
      TeacherSource,
    ];
    await at(before, 3);
    await restore(after, before);
    expect(await at(after, 4)).toEqual(said(batchAt(4).slice(0, BATCH), 3));
    for (const source of [before, after]) source.dispose();
  });

  it('keeps one batch of logits and its step on the device, until it is disposed of', async () => {
    await expectNoLeak(async () => {
      const source = previousBatchTeachers(BATCH, CLASSES);
      const before = tf.memory().numTensors;
      for (let step = 0; step < 4; step++) {
        await at(source, step);
        expect(tf.memory().numTensors).toBe(before);
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

describe('the teacher that a student finds in itself', () => {
  const IDS = [3, 1];
  const settingsOf = (method: string, seed = 1): RunSettings => ({
    ...settingsWith({ data: { batchSize: IDS.length }, distill: { method } }),
    seed,
  });
  const studentOf = (method: string, seed = 1): Promise<Student> =>
    createTinyStudent(settingsOf(method, seed));

  /** What it teaches of two images, of which the student says `time` in all logits. */
  async function taughtImages(source: TeacherSource, images: tf.Tensor4D, time: number): Promise<unknown> {
    const says = IDS.map(() => new Array<number>(10).fill(time));
    return taught(source, { ids: IDS, says, images });
  }

  const predictions = (student: Student, images: tf.Tensor4D): number[][] =>
    tf.tidy(() => student.model.forward(images, false).logits.arraySync());

  it.each(Object.values(methods).map(({ name, teachers }) => [name, teachers] as const))(
    'is for %s what its teachers are: %s',
    async (method, teachers) => {
      const student = {
        loss: { objective: { teachers } },
        dataset: { train: { labels: Uint16Array.of(0, 1) } },
        model: { classes: 2 },
      };
      const given = { ...student, ema: { predict: () => {}, update: () => {} } } as unknown as Student;
      if (teachers === 'generation') {
        await expect(ownTeachers(given, settingsOf(method), 'mlp', undefined)).rejects.toThrow(
          'The method learns from a generation before: give its weights with --weights, or let codistill run train it.',
        );
        return;
      }
      const source = await ownTeachers(given, settingsOf(method), 'mlp', undefined);
      expect(source === null, `${method} asks other peers`).toBe(teachers === 'peers');
      expect(source === noTeachers, `${method} has none`).toBe(teachers === 'none');
      source?.dispose();
      await expect(ownTeachers(given, settingsOf(method), 'mlp', './before')).rejects.toThrow(UsageError);
    },
  );

  it('is its moving average, which follows its updates', async () => {
    const student = await studentOf('self-ema');
    const source = (await ownTeachers(student, settingsOf('self-ema'), 'mlp', undefined))!;
    const images = tf.randomUniform([2, 28, 28, 1], -1, 1, 'float32', 1) as tf.Tensor4D;
    const start = predictions(student, images);
    expect(await taughtImages(source, images, 1)).toEqual(start);
    for (const variable of student.model.parameters.values())
      tf.tidy(() => variable.assign(tf.mul(variable, 2)));
    source.updated(9);
    const averaged = tf.tidy(() => student.ema!.predict(images).arraySync());
    const after = await taughtImages(source, images, 1);
    expect(after).toEqual(averaged);
    for (const other of [start, predictions(student, images)]) expect(after).not.toEqual(other);
    images.dispose();
    source.dispose();
    student.dispose();
  });

  it.each([
    ['ps-kd', IDS],
    // What is new in one step comes again in the next one, before what is new there.
    ['dlb', [...IDS, 0, 2]],
  ])('is what it said before, in %s', async (method, ids) => {
    const student = await studentOf(method);
    const source = (await ownTeachers(student, settingsOf(method), 'mlp', undefined))!;
    const says = (of: readonly number[], time: number) =>
      of.map((id) => new Array<number>(10).fill(id + time));
    await taught(source, { ids: IDS, step: 0, says: says(IDS, 100) });
    expect(await taught(source, { ids, step: 1, says: says(ids, 200) })).toEqual(says(IDS, 100));
    source.dispose();
    student.dispose();
  });

  it('is the generation before, with the weights of its file, and goes with all that it holds', async () => {
    const before = await studentOf('born-again', 2);
    const folder = await temporaryFolder();
    await saveWeights(folder, before, 'mlp');
    const student = await studentOf('born-again');
    const images = tf.randomUniform([2, 28, 28, 1], -1, 1, 'float32', 1) as tf.Tensor4D;
    const file = `${folder}/weights.safetensors`;
    await expectNoLeak(async () => {
      const source = (await ownTeachers(student, settingsOf('born-again'), 'mlp', file))!;
      const rows = await taughtImages(source, images, 1);
      expect(rows).toEqual(predictions(before, images));
      expect(rows).not.toEqual(predictions(student, images));
      source.dispose();
    });
    await expect(ownTeachers(student, settingsOf('born-again'), 'cnn-s', file)).rejects.toThrow(DataError);
    images.dispose();
    before.dispose();
    student.dispose();
  });
});
