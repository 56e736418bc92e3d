import { createHash } from 'node:crypto';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Variable } from '@tensorflow/tfjs';
import type { RunSettings } from '../src/config/schema.ts';
import { DataError, messageOf } from '../src/errors.ts';
import { makeFolder, removeLeftovers, writeFileAtomic } from '../src/results/files.ts';
import type { BestEvaluation } from '../src/results/types.ts';
import { assignVariables, readVariables, weightsOf } from '../src/training/modelWeights.ts';
import type { SafeTensor } from '../src/training/safetensors.ts';
import type { Network } from './network.ts';
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
  more?: ReadonlyMap<string, Variable>,
): Promise<void> {
  const tensors = await readVariables(stateOf(student, more));
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

/** A checkpoint that training can go on from. */
export interface FoundCheckpoint extends Reached {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, SafeTensor>;
}

/**
 * The newest good checkpoint in `folder`. Damaged ones, and those of another run, experiment, peer or model, are passed
 * over.
 *
 * @param notify told which checkpoint is used, and why others are not
 * @returns `null` when there is no checkpoint to go on from
 */
export async function findCheckpoint(
  folder: string,
  network: Pick<Network, 'name' | 'model'>,
  owner: CheckpointOwner,
  notify: (what: string) => void,
): Promise<FoundCheckpoint | null> {
  const checkpoints = join(folder, 'checkpoints');
  await removeLeftovers(checkpoints);
  for (const name of (await namesIn(checkpoints)).reverse()) {
    const path = join(checkpoints, name);
    try {
      const found = read(path, await readFile(path), identityOf(network, owner));
      notify(`going on from step ${found.step}: ${path}`);
      return found;
    } catch (error) {
      if (!(error instanceof DataError || isFileError(error))) throw error;
      notify(`checkpoint passed over: ${path}: ${messageOf(error)}`);
    }
  }
  return null;
}

/** @throws {DataError} when the checkpoint is damaged, or somebody else's */
function read(path: string, bytes: Uint8Array, identity: Readonly<Record<string, string>>): FoundCheckpoint {
  const { tensors, metadata } = decodeSealed(bytes);
  for (const [what, expected] of Object.entries(identity)) {
    if (metadata[what] !== expected) {
      throw new DataError(`expected a checkpoint of ${what} ${expected}, got one of ${metadata[what]}.`);
    }
  }
  const best = JSON.parse(metadata.best!) as BestEvaluation | null;
  return { path, tensors, step: Number(metadata.step), best };
}

/**
 * Gives a student the state that a checkpoint holds.
 *
 * @throws {DataError} when it does not hold all of that student's, and nothing else: the student is as it was then
 */
export function assignCheckpoint(
  { path, tensors }: FoundCheckpoint,
  student: Student,
  more?: ReadonlyMap<string, Variable>,
): void {
  try {
    assignVariables(stateOf(student, more), tensors, 'this student');
  } catch (error) {
    throw new DataError(`${path}: ${messageOf(error)} Start this peer with another --dir to begin anew.`, {
      cause: error,
    });
  }
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
function identityOf(
  { name, model }: Pick<Network, 'name' | 'model'>,
  { run, settings }: CheckpointOwner,
): Record<string, string> {
  const experiment = createHash('sha256').update(JSON.stringify(settings, sorted)).digest('hex');
  return { run, peer: name, model: model.name, experiment };
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
