import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DataError, messageOf } from '../errors.ts';
import { decodeSafetensors, encodeSafetensors } from '../training/safetensors.ts';
import { writeFileAtomic } from './files.ts';

/** What a student predicts of the test set after its last step. */
export interface TestPredictions {
  /** `[samples, classes]`, row-major. */
  readonly logits: Float32Array;
  /** The true class of each sample. */
  readonly labels: Uint16Array;
}

const FILE = 'predictions.safetensors';

/**
 * Writes them into a peer's folder as `predictions.safetensors`: `logits` `[samples, classes]` and `labels` `[samples]`.
 * Networks that never ran together can so be compared, and their ensemble evaluated, without running any again.
 */
export async function savePredictions(folder: string, { logits, labels }: TestPredictions): Promise<void> {
  const samples = labels.length;
  const bytes = encodeSafetensors(
    new Map([
      ['logits', { dtype: 'F32', shape: [samples, logits.length / samples], values: logits }],
      ['labels', { dtype: 'I32', shape: [samples], values: Int32Array.from(labels) }],
    ]),
    {},
  );
  await mkdir(folder, { recursive: true });
  await writeFileAtomic(join(folder, FILE), bytes);
}

/**
 * @returns `null` when there are none: the student did not come to its end
 * @throws {DataError} when the file is damaged
 */
export async function readPredictions(folder: string): Promise<TestPredictions | null> {
  const path = join(folder, FILE);
  if (!existsSync(path)) return null;
  try {
    const { tensors } = decodeSafetensors(await readFile(path));
    const [logits, labels] = [tensors.get('logits'), tensors.get('labels')];
    if (logits?.dtype !== 'F32' || labels?.dtype !== 'I32' || logits.shape[0] !== labels.shape[0]) {
      throw new DataError('expected "logits" F32 [samples, classes] and "labels" I32 [samples].');
    }
    return { logits: logits.values, labels: Uint16Array.from(labels.values) };
  } catch (error) {
    throw new DataError(`${path}: ${messageOf(error)}`, { cause: error });
  }
}
