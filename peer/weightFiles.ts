import { createHash } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../src/results/files.ts';
import { readVariables, weightsOf } from '../src/training/modelWeights.ts';
import { encodeSafetensors } from '../src/training/safetensors.ts';
import type { Student } from './student.ts';

/** Checkpoints that are kept; older ones are removed once a newer one is safe. */
const KEPT = 3;

/**
 * Writes the student's weights as `weights.safetensors`: parameters and running statistics under their names in the
 * model, and what is needed to build the model again as metadata.
 *
 * @returns SHA-256 (hex) of the file
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
  await mkdir(folder, { recursive: true });
  await writeFileAtomic(join(folder, 'weights.safetensors'), bytes);
  return createHash('sha256').update(bytes).digest('hex');
}

/** Writes all that training would need to go on from `step`: weights, optimiser, and the averaged teacher if any. */
export async function saveCheckpoint(folder: string, student: Student, step: number): Promise<void> {
  const { model, loss, optimizer, ema } = student;
  const tensors = new Map([
    ...(await readVariables(weightsOf(model), 'model.')),
    ...(await readVariables(new Map([...loss.parameters, ...loss.buffers]), 'modules.')),
    ...(await readVariables(optimizer.slots, 'optimizer.')),
    ...(ema ? await readVariables(ema.state, 'teacher.') : []),
  ]);
  const checkpoints = join(folder, 'checkpoints');
  await mkdir(checkpoints, { recursive: true });
  const name = `step-${String(step).padStart(8, '0')}.safetensors`;
  await writeFileAtomic(join(checkpoints, name), encodeSafetensors(tensors, { step: String(step) }));
  const all = (await readdir(checkpoints)).filter((file) => /^step-\d+\.safetensors$/.test(file)).sort();
  // Later steps than this one are of an earlier training in the same folder.
  const oldestFirst = [...all.filter((file) => file > name), ...all.filter((file) => file <= name)];
  for (const old of oldestFirst.slice(0, -KEPT)) await rm(join(checkpoints, old));
}
