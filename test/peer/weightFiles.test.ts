import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Student } from '../../peer/student.ts';
import { saveWeights } from '../../peer/weightFiles.ts';
import { loadBackend } from '../../src/backend/select.ts';
import { createModel } from '../../src/models/index.ts';
import { assignWeights } from '../../src/training/modelWeights.ts';
import { decodeSafetensors } from '../../src/training/safetensors.ts';
import { createSgd } from '../../src/training/sgd.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';
import { TINY_DATASET } from './support.ts';

beforeAll(async () => {
  await loadBackend('wasm');
});

/** A student of the tiny dataset; resnet8 has running statistics besides its parameters. */
function resnetStudent(): Student {
  const options = { inputShape: [8, 8, 1], classes: 3, seed: 5 } as const;
  const model = createModel('resnet8', options);
  return {
    dataset: TINY_DATASET,
    model,
    optimizer: createSgd(model.parameters, { momentum: 0.9, nesterov: false, weightDecay: 0 }),
    ema: null,
  } as Partial<Student> as Student;
}

const read = (...path: string[]) => decodeSafetensors(readFileSync(join(...path)));

describe('saveWeights', () => {
  it('writes every weight under its name, and how to build the model again', async () => {
    const folder = join(await temporaryFolder(), 'made', 'on', 'the', 'way');
    const student = resnetStudent();
    const digest = await saveWeights(folder, student, './my-model.js');
    const { tensors, metadata } = read(folder, 'weights.safetensors');
    expect([...tensors.keys()]).toEqual([
      ...student.model.parameters.keys(),
      ...student.model.buffers.keys(),
    ]);
    expect(student.model.buffers.size).toBeGreaterThan(0);
    expect(metadata).toEqual({
      model: './my-model.js',
      classes: '3',
      inputShape: '8x8x1',
      dataset: 'tiny',
    });
    const bytes = readFileSync(join(folder, 'weights.safetensors'));
    expect(digest).toBe(createHash('sha256').update(bytes).digest('hex'));
    expect(readdirSync(folder)).toEqual(['weights.safetensors']);
  });

  it('writes what gives another instance of the model the same predictions, to the bit', async () => {
    const folder = await temporaryFolder();
    const { model, ...rest } = resnetStudent();
    const images = tf.randomNormal([2, 8, 8, 1], 0, 1, 'float32', 1) as tf.Tensor4D;
    // In training mode, so that the running statistics are no longer those of a new model.
    tf.tidy(() => void model.forward(images, true));
    await saveWeights(folder, { model, ...rest }, 'resnet8');

    const other = createModel('resnet8', { inputShape: [8, 8, 1], classes: 3, seed: 6 });
    const logits = (of: typeof model) => tf.tidy(() => of.forward(images, false).logits.dataSync());
    expect(logits(other)).not.toEqual(logits(model));
    assignWeights(other, read(folder, 'weights.safetensors').tensors);
    expect(logits(other)).toEqual(logits(model));
  });

  it('leaves the old file whole, and no part of a new one, when it fails', async () => {
    const folder = await temporaryFolder();
    const student = resnetStudent();
    await saveWeights(folder, student, 'first');
    [...student.model.buffers.values()].at(-1)!.dispose();
    await expect(saveWeights(folder, student, 'second')).rejects.toThrow();
    expect(readdirSync(folder)).toEqual(['weights.safetensors']);
    expect(read(folder, 'weights.safetensors').metadata.model).toBe('first');
  });

  it('leaves nothing half-written when the file cannot be replaced', async () => {
    const folder = await temporaryFolder();
    mkdirSync(join(folder, 'weights.safetensors', 'in-the-way'), { recursive: true });
    await expect(saveWeights(folder, resnetStudent(), 'mlp')).rejects.toThrow();
    expect(readdirSync(folder)).toEqual(['weights.safetensors']);
  });
});
