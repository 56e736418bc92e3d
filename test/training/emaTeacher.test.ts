import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadBackend } from '../../src/backend/select.ts';
import type { Model } from '../../src/models/types.ts';
import { createEmaTeacher } from '../../src/training/emaTeacher.ts';
import { linearModel } from '../support/models.ts';
import { expectClose, expectNoLeak } from '../support/tensors.ts';

beforeAll(async () => {
  await loadBackend('wasm');
});

const DECAY = 0.7;
/** The student's only weight, and its running statistic, at each step. */
const COURSE = [
  [1, 10],
  [2, 30],
  [5, 20],
  [3, 50],
  [4, 40],
] as const;

/** One pixel, one class, so that a model is two numbers. */
const modelOf = (weight: number, shift: number): Model => linearModel([[weight]], [shift]);

function set(model: Model, weight: number, shift: number): void {
  tf.tidy(() => {
    model.parameters.get('weight')!.assign(tf.tensor2d([[weight]]));
    model.buffers.get('shift')!.assign(tf.tensor1d([shift]));
  });
}

const stateOf = (state: ReadonlyMap<string, tf.Variable>) =>
  [...state.values()].map((variable) => variable.dataSync()[0]!);

describe('the moving average of a student', () => {
  it('follows its weights and its running statistics by the formula of the mean teacher', () => {
    const student = modelOf(0, 0);
    const teacher = createEmaTeacher(student, modelOf(99, 99), DECAY);
    expect([...teacher.state.keys()]).toEqual(['weight', 'shift']);
    let expected = [99, 99];
    for (const [step, [weight, shift]] of COURSE.entries()) {
      set(student, weight, shift);
      teacher.update(step);
      const keep = Math.min(1 - 1 / (step + 1), DECAY);
      expected = [weight, shift].map((value, i) => keep * expected[i]! + (1 - keep) * value);
      expectClose(stateOf(teacher.state), expected, 1e-6);
    }
  });

  it('begins at the student, whatever the copy was, and is a plain mean before the decay counts', () => {
    const student = modelOf(0, 0);
    const teacher = createEmaTeacher(student, modelOf(99, 99), 0.99);
    for (const [step, [weight, shift]] of COURSE.entries()) {
      set(student, weight, shift);
      teacher.update(step);
      if (step === 0) expect(stateOf(teacher.state)).toEqual([1, 10]);
    }
    expectClose(stateOf(teacher.state), [3, 30], 1e-6);
  });

  it('begins at the student also where its first step is a late one', () => {
    const teacher = createEmaTeacher(modelOf(2, 5), modelOf(99, 99), DECAY);
    expect(stateOf(teacher.state)).toEqual([2, 5]);
    teacher.update(1_000);
    expectClose(stateOf(teacher.state), [2, 5], 1e-6);
  });

  it('does not touch the student', () => {
    const student = modelOf(2, 5);
    createEmaTeacher(student, modelOf(7, 7), DECAY).update(3);
    expect([...stateOf(student.parameters), ...stateOf(student.buffers)]).toEqual([2, 5]);
  });

  it('predicts with the average, in evaluation mode', () => {
    const student = modelOf(2, 5);
    const teacher = createEmaTeacher(student, modelOf(0, 0), DECAY);
    teacher.update(0);
    set(student, 4, 15);
    teacher.update(1);
    // Weight 3, shift 10; in training, the model would add 1000.
    const logits = teacher.predict(tf.tensor4d([1, 2], [2, 1, 1, 1]));
    expectClose(logits.dataSync(), [13, 16], 1e-6);
  });

  it('takes the copy over, and leaves nothing behind', async () => {
    const student = modelOf(1, 1);
    const images = tf.ones([2, 1, 1, 1]) as tf.Tensor4D;
    await expectNoLeak(() => {
      const teacher = createEmaTeacher(student, modelOf(2, 2), DECAY);
      teacher.update(0);
      teacher.update(1);
      teacher.predict(images).dispose();
      teacher.dispose();
    });
  });
});
