import type { Variable } from '@tensorflow/tfjs';
import { StorageError } from '../src/errors.ts';
import type { BestEvaluation } from '../src/results/types.ts';
import { type CheckpointOwner, saveCheckpoint } from './checkpoints.ts';
import type { Student } from './student.ts';

/** A training of this length without a checkpoint gets one, in milliseconds. */
const EVERY_MS = 60_000;

/** Saves a student in the course of its training. */
export interface Checkpointing {
  /**
   * A training does not end because its disk is full: what cannot be saved is told once, as is the end of that.
   *
   * @returns what could not be written; `null` when all is saved
   */
  save(step: number, best: BestEvaluation | null): Promise<StorageError | null>;
  /** Whether the last attempt is so long ago that another one should not wait for an evaluation. */
  isDue(): boolean;
}

/**
 * @param now a monotonic clock, in milliseconds
 * @param notify told when saving fails or works again, in words
 */
export function createCheckpointing(options: {
  readonly folder: string;
  readonly student: Student;
  readonly owner: CheckpointOwner;
  /** What the student's teachers remember between steps. */
  readonly memory: ReadonlyMap<string, Variable>;
  readonly now: () => number;
  readonly notify: (what: string) => void;
}): Checkpointing {
  const { folder, student, owner, memory, now, notify } = options;
  let triedAtMs = now();
  let failing = false;
  return {
    async save(step, best) {
      try {
        await saveCheckpoint(folder, student, { step, best }, owner, memory);
        if (failing) notify('checkpoints are saved again');
        failing = false;
        return null;
      } catch (error) {
        if (!(error instanceof StorageError)) throw error;
        if (!failing) notify(`${error.message} Training goes on; checkpoints are tried again.`);
        failing = true;
        return error;
      } finally {
        triedAtMs = now();
      }
    },
    isDue: () => now() - triedAtMs >= EVERY_MS,
  };
}
