import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Answer, Session } from '../../peer/session.ts';
import { emaTeachers, type Lesson, noTeachers, peerTeachers } from '../../peer/teachers.ts';
import { loadBackend } from '../../src/backend/select.ts';
import { getCodec } from '../../src/codec/index.ts';
import { batchDigest } from '../../src/protocol/batchDigest.ts';
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
  logits,
});

/** Teachers behind a session that gives this answer; `requests` is what it was asked. */
function teachersWith(answer: Answer) {
  const requests: Parameters<Session['exchange']>[0][] = [];
  const session = {
    exchange: async (request) => {
      requests.push(request);
      return answer;
    },
  } as Partial<Session> as Session;
  const teachers = peerTeachers(session, { view: 'own', codec: 'float16' }, getCodec('float16').encode);
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
        codec: 'float16',
        shape: [2, 3],
        data: getCodec('float16').encode(Float32Array.of(1, -2, 65_504, 0.5, 0, 3), 2, 3),
      },
    ]);
  });

  it('give their target as a tensor', async () => {
    const answer: Answer = { kind: 'target', logits: Float32Array.of(0, -1, -2, 0), teachers: 1 };
    const { target, waitedMs, nextStep } = await teachersWith(answer).teachers.teach(
      lessonOf(tf.zeros([2, 2])),
    );
    expect(await target?.array()).toEqual([
      [0, -1],
      [-2, 0],
    ]);
    expect(waitedMs).toBeGreaterThanOrEqual(0);
    expect(nextStep).toBeUndefined();
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
    const { teachers } = teachersWith({ kind: 'target', logits: new Float32Array(4), teachers: 1 });
    const lesson = lessonOf(tf.zeros([2, 2]));
    await expectNoLeak(async () => (await teachers.teach(lesson)).target!.dispose());
    expect(lesson.logits.isDisposed).toBe(false);
  });
});

describe('the average of a student’s own weights as teacher', () => {
  it('predicts in evaluation mode, and follows the student after each update', async () => {
    const student = linearModel([[2], [4]], [0]);
    const teachers = emaTeachers(createEmaTeacher(student, linearModel([[0], [0]], [0]), 0.5));
    const images = tf.tensor4d([1, 0, 0, 1], [2, 1, 1, 2]);
    const taught = async () => [
      ...(await (await teachers.teach(lessonOf(tf.zeros([2, 1]), images))).target!.data()),
    ];
    expect(await taught()).toEqual([0, 0]);
    // Step 0 keeps nothing of the average, step 1 a half.
    teachers.updated(0);
    expect(await taught()).toEqual([2, 4]);
    student.parameters.get('weight')!.assign(tf.zeros([2, 1]));
    teachers.updated(1);
    expect(await taught()).toEqual([1, 2]);
  });
});

describe('nobody as teacher', () => {
  it('gives no target', async () => {
    expect(await noTeachers.teach(lessonOf(tf.zeros([2, 2])))).toEqual({ target: null, waitedMs: 0 });
  });
});
