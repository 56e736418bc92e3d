import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { loadBackend } from '../../src/backend/select.ts';
import { getMethod, methods } from '../../src/distill/index.ts';
import { NO_MODULES } from '../../src/distill/types.ts';
import { divergences, normals, numericGradient, sumOf } from '../support/numeric.ts';
import { expectClose, gradientOf, rowsOf, valuesOf } from '../support/tensors.ts';

beforeAll(async () => {
  await loadBackend('wasm');
});

const CLASSES = 4;
const student = normals(3 * CLASSES, 2, 'student');
const teacher = normals(3 * CLASSES, 2, 'teacher');

describe('the methods', () => {
  it('are registered under their own names', () => {
    for (const [key, { name }] of Object.entries(methods)) expect(name).toBe(key);
  });

  it('have the teachers of their papers', () => {
    const teachers = Object.fromEntries(Object.values(methods).map((each) => [each.name, each.teachers]));
    expect(teachers).toMatchObject({
      ...{ independent: 'none', 'label-smoothing': 'none' },
      ...{ dml: 'peers', kd: 'peers', crd: 'peers' },
      'self-ema': 'ema',
    });
  });

  it('say what is learnt, all but the control', () => {
    for (const { name, loss, supervised, init } of Object.values(methods)) {
      const learnt = [loss, supervised, init].filter((each) => each !== undefined);
      expect(learnt.length > 0, name).toBe(name !== 'independent');
    }
  });

  it('have options that all have a default and a description, and no others', () => {
    for (const { name, options } of Object.values(methods)) {
      expect(() => options.parse({}), name).not.toThrow();
      expect(options.safeParse({ nonsense: 1 }).success, name).toBe(false);
      const { properties } = z.toJSONSchema(options, { io: 'input' });
      for (const [key, option] of Object.entries(properties ?? {})) {
        expect(option, `${name}.${key}`).toMatchObject({ description: expect.any(String) });
      }
    }
  });

  it('are found by name, and a misspelt one is named together with what was meant', () => {
    expect(getMethod('self-ema').name).toBe('self-ema');
    expect(() => getMethod('dmll')).toThrow(
      `Unknown method "dmll"; did you mean "dml"? Known: ${Object.keys(methods).join(', ')}.`,
    );
  });
});

describe.each(['dml', 'self-ema'])('the loss of %s', (name) => {
  const loss = (logits: ReturnType<typeof rowsOf>) =>
    getMethod(name).loss!({
      student: { logits, features: {} },
      labels: tf.tensor1d([0, 1, 2], 'int32'),
      teacher: { logits: rowsOf(teacher, CLASSES), encodings: {} },
      options: { ...(getMethod(name).options.parse({}) as object), temperature: 3 },
      modules: NO_MODULES,
      ids: Uint32Array.of(0, 1, 2),
      ...{ step: 0, epoch: 0, epochs: 1 },
    });
  const reference = (z: readonly number[]) => divergences(z, teacher, CLASSES, 3).map((value) => 9 * value);

  it('is T² KL(teacher, student) at the temperature of the options', () => {
    expectClose(valuesOf(loss, student, CLASSES), reference(student), 1e-6);
  });

  it('has the gradient of central differences', () => {
    const numeric = numericGradient((z) => sumOf(reference(z)), student);
    expectClose(gradientOf(loss, student, CLASSES), numeric, 1e-6);
  });
});
