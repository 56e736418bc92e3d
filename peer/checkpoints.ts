import { createHash } from 'node:crypto';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Variable } from '@tensorflow/tfjs';
import type { RunSettings } from '../src/config/schema.ts';
import { DataError, messageOf } from '../src/errors.ts';
import { makeFolder, removeLeftovers, writeFileAtomic } from '../src/results/files.ts';
import type { BestEvaluation } from '../src/results/types.ts';
import { assignVariables, readVariables, weightsOf } from '../src/training/modelWeights.ts';
import { decodeSealed, encodeSealed } from './sealed.ts';
import type { Student } from './student.ts';

/** Checkpoints that are kept; older ones are removed once a newer one is safe. */
const KEPT = 3;
const NAME = /^step-\d+\.safetensors$/;

/** Whose checkpoints they are: those of others are not taken for one's own. */
export interface CheckpointOwner {
  /** Id of the run. */
  readonly run: string;
  readonly settings: RunSettings;
  /** What the student's teachers remember between steps. */
  readonly more?: ReadonlyMap<string, Variable>;
}

/** How far a training came. */
export interface Reached {
  /** Steps done. */
  readonly step: number;
  /** The most accurate evaluation until then; `null` without any. */
  readonly best: BestEvaluation | null;
}

/**
 * Writes all that training needs to go on from a step as if nothing had happened: weights, the methods' parameters and
 * buffers, the optimiser's slots, the averaged teacher, and what the teachers remember. What else decides a step, such
 * as its samples and its learning rate, follows from the seed, the settings and the number of steps done.
 */
export async function saveCheckpoint(
  folder: string,
  student: Student,
  reached: Reached,
  owner: CheckpointOwner,
): Promise<void> {
  const tensors = await readVariables(stateOf(student, owner.more));
  const metadata = {
    ...identityOf(student, owner),
    step: String(reached.step),
    best: JSON.stringify(reached.best),
  };
  const checkpoints = join(folder, 'checkpoints');
  await makeFolder(checkpoints);
  const name = `step-${String(reached.step).padStart(8, '0')}.safetensors`;
  await writeFileAtomic(join(checkpoints, name), encodeSealed(tensors, metadata));
  const all = await namesIn(checkpoints);
  // Later steps than this one are of an earlier training in the same folder.
  const oldestFirst = [...all.filter((file) => file > name), ...all.filter((file) => file <= name)];
  for (const old of oldestFirst.slice(0, -KEPT)) await rm(join(checkpoints, old));
}

/**
 * Gives a student the state of its newest good checkpoint in `folder`. Damaged ones, and those of another run,
 * experiment or peer, are passed over; the student is left as it was unless a whole checkpoint fits.
 *
 * @param options.notify told which checkpoint is used, and why others are not
 * @returns where training goes on; `null` when there is no checkpoint to go on from
 */
export async function restoreCheckpoint(
  folder: string,
  student: Student,
  options: CheckpointOwner & { readonly notify: (what: string) => void },
): Promise<Reached | null> {
  const checkpoints = join(folder, 'checkpoints');
  await removeLeftovers(checkpoints);
  for (const name of (await namesIn(checkpoints)).reverse()) {
    const path = join(checkpoints, name);
    try {
      const reached = restoreFrom(await readFile(path), student, options);
      options.notify(`going on from step ${reached.step}: ${path}`);
      return reached;
    } catch (error) {
      if (!(error instanceof DataError || isFileError(error))) throw error;
      options.notify(`checkpoint passed over: ${path}: ${messageOf(error)}`);
    }
  }
  return null;
}

/** @throws {DataError} when the checkpoint is damaged, or not that of this student in this run */
function restoreFrom(bytes: Uint8Array, student: Student, owner: CheckpointOwner): Reached {
  const { tensors, metadata } = decodeSealed(bytes);
  for (const [what, expected] of Object.entries(identityOf(student, owner))) {
    if (metadata[what] !== expected) {
      throw new DataError(`expected a checkpoint of ${what} ${expected}, got one of ${metadata[what]}.`);
    }
  }
  assignVariables(stateOf(student, owner.more), tensors, 'this student');
  return { step: Number(metadata.step), best: JSON.parse(metadata.best!) as BestEvaluation | null };
}

/** Everything that a step changes, by the names that it has in a checkpoint. */
function stateOf(
  { model, loss, optimizer, ema }: Student,
  more: ReadonlyMap<string, Variable> = new Map(),
): Map<string, Variable> {
  const parts = {
    model: weightsOf(model),
    modules: new Map([...loss.parameters, ...loss.buffers]),
    optimizer: optimizer.slots,
    teacher: ema?.state ?? new Map<string, Variable>(),
    memory: more,
  };
  return new Map(
    Object.entries(parts).flatMap(([part, variables]) =>
      [...variables].map(([name, variable]) => [`${part}.${name}`, variable] as const),
    ),
  );
}

/** What a checkpoint says of its origin, in its metadata. */
function identityOf({ name }: Student, { run, settings }: CheckpointOwner): Record<string, string> {
  const experiment = createHash('sha256').update(JSON.stringify(settings, sorted)).digest('hex');
  return { run, peer: name, experiment };
}

/** A replacer: the same settings give the same text, in whatever order their keys came. */
function sorted(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The checkpoints in a folder, those of earlier steps first; none where there is no folder to read. */
async function namesIn(checkpoints: string): Promise<string[]> {
  try {
    return (await readdir(checkpoints)).filter((file) => NAME.test(file)).sort();
  } catch (error) {
    if (isFileError(error)) return [];
    throw error;
  }
}

/** Whether the operating system refused it, and not codistill. */
function isFileError(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error;
}
