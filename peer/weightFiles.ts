import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { makeFolder, writeFileAtomic } from '../src/results/files.ts';
import { readVariables, weightsOf } from '../src/training/modelWeights.ts';
import { encodeSafetensors } from '../src/training/safetensors.ts';
import type { Student } from './student.ts';

/**
 * Writes the student's weights as `weights.safetensors`: parameters and running statistics under their names in the
 * model, and what is needed to build the model again as metadata.
 *
 * @returns SHA-256 (hex) of the file
 * @throws {StorageError} when it cannot be written
 */
export async function saveWeights(folder: string, student: Student, modelName: string): Promise<string> {
  const { model, dataset } = student;
  const tensors = await readVariables(weightsOf(model));
  const bytes = encodeSafetensors(tensors, {
    model: modelName,
    classes: String(model.classes),
    inputShape: model.inputShape.join('x'),
    dataset: dataset.name,
  });
  await makeFolder(folder);
  await writeFileAtomic(join(folder, 'weights.safetensors'), bytes);
  return createHash('sha256').update(bytes).digest('hex');
}
