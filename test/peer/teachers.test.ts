import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Answer } from '../../peer/answer.ts';
import type { Session } from '../../peer/session.ts';
import { emaTeachers, type Lesson, noTeachers, peerTeachers, type Teaching } from '../../peer/teachers.ts';
import { loadBackend } from '../../src/backend/select.ts';
import { getCodec } from '../../src/codec/index.ts';
import { batchDigest } from '../../src/protocol/batchDigest.ts';
import type { Wants } from '../../src/protocol/messages.ts';
import { createEmaTeacher } from '../../src/training/emaTeacher.ts';
import { linearModel } from '../support/models.ts';
import { expectNoLeak } from '../support/tensors.ts';

beforeAll(async () => {
  await loadBackend('wasm');
});

const lessonOf = (logits: tf.Tensor2D, images = tf.zeros([2, 1, 1, 2]) as tf.Tensor4D): Lesson => ({
  step: 7,
  ids: Uint32Array.of(4, 65_537),
  images,
  labels: Uint16Array.of(1, 258),
  student: { logits, features: { embedding: tf.tensor2d([5, 6, 7, 8], [2, 2]) } },
});

const WANTS: Wants = {
  ...{ logits: true, ensemble: 'mean-probabilities', includesSelf: false, temperature: 2, encodings: [] },
};

const targetOf = (logits: Float32Array): Answer => ({
  ...{ kind: 'target', logits, encodings: [], apart: null, teachers: 1 },
});

const disposeTarget = ({ target }: Teaching): void => {
  for (const one of [target!, ...(target!.apart ?? [])]) {
    for (const tensor of [one.logits, ...Object.values(one.encodings)]) tensor?.dispose();
  }
};

/** Teachers behind a session that gives this answer; `requests` is what it was asked. */
function teachersWith(answer: Answer, options: Partial<Parameters<typeof peerTeachers>[1]> = {}) {
  const requests: Parameters<Session['exchange']>[0][] = [];
  const session = {
    exchange: async (request) => {
      requests.push(request);
      return answer;
    },
  } as Partial<Session> as Session;
  const teachers = peerTeachers(session, {
    ...{ view: 'own', codec: 'float16', wants: WANTS, ema: null, sendsLabels: false },
    ...options,
  });
  return { teachers, requests };
}

describe('other peers as teachers', () => {
  it('are asked with the batch’s digest, and the predictions in the codec of the experiment', async () => {
    const { teachers, requests } = teachersWith({ kind: 'none', reason: 'quorum' });
    await teachers.teach(lessonOf(tf.tensor2d([1, -2, 65_504, 0.5, 0, 3], [2, 3])));
    expect(requests).toEqual([
      {
        round: 7,
        step: 7,
        batch: batchDigest(Uint32Array.of(4, 65_537)),
        view: 'own',
        logits: {
          codec: 'float16',
          shape: [2, 3],
          data: getCodec('float16').encode(Float32Array.of(1, -2, 65_504, 0.5, 0, 3), 2, 3),
        },
      },
    ]);
  });

  it('are told the features that they need, and the true classes where the target is made of them', async () => {
    const wants: Wants = {
      ...WANTS,
      logits: false,
      encodings: [{ layer: 'embedding', encoder: 'vector@1' }],
    };
    const options = { wants, codec: 'float32', sendsLabels: true } as const;
    const { teachers, requests } = teachersWith({ kind: 'none', reason: 'quorum' }, options);
    await teachers.teach(lessonOf(tf.zeros([2, 3])));
    const [request] = requests;
    expect(request).not.toHaveProperty('logits');
    expect(request!.labels).toEqual(Uint8Array.of(1, 0, 2, 1));
    expect(request!.encodings).toEqual([
      {
        ...{ layer: 'embedding', encoder: 'vector@1', codec: 'float32', shape: [2, 2] },
        data: getCodec('float32').encode(Float32Array.of(5, 6, 7, 8), 2, 2),
      },
    ]);
  });

  it('are told nothing by a student that teaches nobody', async () => {
    const { teachers, requests } = teachersWith({ kind: 'none', reason: 'quorum' }, { wants: null });
    await teachers.teach(lessonOf(tf.zeros([2, 3])));
    expect(requests).toEqual([
      { round: 7, step: 7, batch: batchDigest(Uint32Array.of(4, 65_537)), view: 'own' },
    ]);
  });

  it('are told what the average of the student’s weights predicts, where the method has that', async () => {
    const student = linearModel([[2], [4]], [0]);
    const ema = createEmaTeacher(student, linearModel([[0], [0]], [0]), 0.5);
    const { teachers, requests } = teachersWith(
      { kind: 'none', reason: 'quorum' },
      { ema, codec: 'float32' },
    );
    const images = tf.tensor4d([1, 0, 0, 1], [2, 1, 1, 2]);
    const own = tf.tensor2d([9, 9], [2, 1]);
    teachers.updated(0);
    await expectNoLeak(async () => {
      const lesson = lessonOf(own, images);
      await teachers.teach(lesson);
      lesson.student.features.embedding!.dispose();
    });
    const { data, shape } = requests[0]!.logits!;
    expect([...getCodec('float32').decode(data, ...shape)]).toEqual([2, 4]);
  });

  it('give their target as a tensor', async () => {
    const { target, waitedMs, nextStep } = await teachersWith(
      targetOf(Float32Array.of(0, -1, -2, 0)),
    ).teachers.teach(lessonOf(tf.zeros([2, 2])));
    expect(await target?.logits?.array()).toEqual([
      [0, -1],
      [-2, 0],
    ]);
    expect([target?.encodings, target]).toEqual([{}, expect.not.objectContaining({ apart: [] })]);
    expect(waitedMs).toBeGreaterThanOrEqual(0);
    expect(nextStep).toBeUndefined();
  });

  it('give encodings by layer and encoder, and each teacher by itself where they stay apart', async () => {
    const encodings = [
      { layer: 'stage1', encoder: 'map@1', shape: [2, 1, 1, 1], values: Float32Array.of(3, 4) },
    ];
    const alone = { logits: Float32Array.of(1, 2, 3, 4), encodings: [] };
    const together: Answer = { kind: 'target', logits: null, encodings, apart: null, teachers: 1 };
    const apart: Answer = { kind: 'target', logits: null, encodings: [], apart: [alone, alone], teachers: 2 };
    const targets = await Promise.all(
      [together, apart].map(async (answer) => {
        const { target } = await teachersWith(answer).teachers.teach(lessonOf(tf.zeros([2, 2])));
        return target!;
      }),
    );
    expect(targets[0]).toMatchObject({
      logits: null,
      encodings: { 'stage1:map@1': { shape: [2, 1, 1, 1] } },
    });
    expect([...(await targets[0]!.encodings['stage1:map@1']!.data())]).toEqual([3, 4]);
    expect(targets[1]!.logits).toBeNull();
    expect(await Promise.all(targets[1]!.apart!.map(({ logits }) => logits!.array()))).toEqual([
      [
        [1, 2],
        [3, 4],
      ],
      [
        [1, 2],
        [3, 4],
      ],
    ]);
  });

  it('give none, and the step to go on with, when there is none', async () => {
    const lesson = lessonOf(tf.zeros([2, 2]));
    const late = await teachersWith({ kind: 'none', reason: 'late', nextRound: 9 }).teachers.teach(lesson);
    expect(late).toMatchObject({ target: null, nextStep: 9 });
    const missing = await teachersWith({ kind: 'none', reason: 'disconnected' }).teachers.teach(lesson);
    expect(missing.target).toBeNull();
    expect(missing).not.toHaveProperty('nextStep');
  });

  it('leave nothing but the target on the device, and the predictions alone', async () => {
    const apart = [{ logits: new Float32Array(4), encodings: [] }];
    const one = teachersWith(targetOf(new Float32Array(4)));
    const several = teachersWith({ kind: 'target', logits: null, encodings: [], apart, teachers: 1 });
    const lesson = lessonOf(tf.zeros([2, 2]));
    for (const { teachers } of [one, several]) {
      await expectNoLeak(async () => disposeTarget(await teachers.teach(lesson)));
    }
    expect(lesson.student.logits.isDisposed).toBe(false);
  });
});

describe('the average of a student’s own weights as teacher', () => {
  it('predicts in evaluation mode, and follows the student after each update', async () => {
    const student = linearModel([[2], [4]], [0]);
    const teachers = emaTeachers(createEmaTeacher(student, linearModel([[0], [0]], [0]), 0.5));
    const images = tf.tensor4d([1, 0, 0, 1], [2, 1, 1, 2]);
    const taught = async () => [
      ...(await (await teachers.teach(lessonOf(tf.zeros([2, 1]), images))).target!.logits!.data()),
    ];
    expect(await taught()).toEqual([2, 4]);
    // Step 0 keeps nothing of the average, step 1 a half.
    student.parameters.get('weight')!.assign(tf.tensor2d([[4], [8]]));
    teachers.updated(0);
    expect(await taught()).toEqual([4, 8]);
    student.parameters.get('weight')!.assign(tf.zeros([2, 1]));
    teachers.updated(1);
    expect(await taught()).toEqual([2, 4]);
  });
});

describe('nobody as teacher', () => {
  it('gives no target', async () => {
    expect(await noTeachers.teach(lessonOf(tf.zeros([2, 2])))).toEqual({ target: null, waitedMs: 0 });
  });
});
