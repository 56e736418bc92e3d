import { beforeAll, describe, expect, it } from 'vitest';
import { loadBackend } from '../../src/backend/select.ts';
import { getMethod, methods } from '../../src/distill/index.ts';
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
    const teachers = Object.values(methods).map((method) => [method.name, method.teachers]);
    expect(teachers).toEqual([
      ['independent', 'none'],
      ['dml', 'peers'],
      ['self-ema', 'ema'],
    ]);
  });

  it('have a loss exactly when somebody teaches', () => {
    for (const method of Object.values(methods)) {
      expect(method.loss !== undefined, method.name).toBe(method.teachers !== 'none');
    }
  });

  it('are found by name, and a misspelt one is named together with what was meant', () => {
    expect(getMethod('self-ema').name).toBe('self-ema');
    expect(() => getMethod('dlm')).toThrow(
      'Unknown method "dlm"; did you mean "dml"? Known: independent, dml, self-ema.',
    );
  });
});

describe.each(['dml', 'self-ema'])('the loss of %s', (name) => {
  const loss = (z: ReturnType<typeof rowsOf>) =>
    getMethod(name).loss!(z, rowsOf(teacher, CLASSES), { temperature: 3 });
  const reference = (z: readonly number[]) => divergences(z, teacher, CLASSES, 3).map((value) => 9 * value);

  it('is T² KL(teacher, student) at the temperature of the options', () => {
    expectClose(valuesOf(loss, student, CLASSES), reference(student), 1e-6);
  });

  it('has the gradient of central differences', () => {
    const numeric = numericGradient((z) => sumOf(reference(z)), student);
    expectClose(gradientOf(loss, student, CLASSES), numeric, 1e-6);
  });
});
