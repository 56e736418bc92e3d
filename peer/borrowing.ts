import { hasNonFinite } from '../src/codec/index.ts';
import { CodistillError, DataError, ExitCode } from '../src/errors.ts';
import type { Model } from '../src/models/types.ts';
import {
  type CoordinatorMessage,
  type MessageOf,
  type PeerMessage,
  TEXT_LENGTH,
} from '../src/protocol/messages.ts';
import { assignWeights, expectFits, weightsOf } from '../src/training/modelWeights.ts';
import { decodeSafetensors, type SafeTensor } from '../src/training/safetensors.ts';
import { createAssembler } from './checkpointInbox.ts';

type Piece = MessageOf<CoordinatorMessage, 'checkpoint'> & { readonly request: number };
type Start = MessageOf<CoordinatorMessage, 'start'>;

/** Of a safetensors file, whose names of tensors take their room. */
const MOST_HEADER_BYTES = 1024 ** 2;

/** The most bytes of a model's weights, as they travel. */
export function mostWeightBytes(model: Model): number {
  return MOST_HEADER_BYTES + [...weightsOf(model).values()].reduce((sum, { size }) => sum + 4 * size, 0);
}

/** What a student began with: another one's weights, or its own, and why. */
export type Origin = NonNullable<Start['weights']> | { readonly peer: null; readonly reason: string };

/** Takes the weights of another student, with which this one is to begin. */
export interface Borrowing {
  /** Looks at a piece, and keeps it. @returns the answer: that it is here, or why the weights are of no use */
  take(piece: Piece): MessageOf<PeerMessage, 'received'>;
  /** Whose weights are on their way, and how many of them are here, in words. */
  readonly state: string;
  /**
   * Gives the model the weights that the coordinator says it begins with, if any.
   *
   * @throws {CodistillError} when the coordinator names weights that have not come
   */
  settle(start: Start): Origin;
}

export function createBorrowing(model: Model): Borrowing {
  const most = mostWeightBytes(model);
  const assemble = createAssembler(most);
  let state = "the other peers to be ready, or the best one's weights";
  let whole: { readonly peer: string; readonly step: number; readonly tensors: Weights } | null = null;

  const problemOf = (piece: Piece, end: number): string | null => {
    const { size, peer, step } = piece;
    if (size > most) return `expected at most ${most} bytes, as ${model.name} takes, got ${size}`;
    const checkpoint = assemble(piece);
    if (end < size) return null;
    if (!checkpoint) return 'a piece is missing';
    const read = readWeights(model, checkpoint.bytes);
    if ('problem' in read) return read.problem;
    whole = { peer, step, ...read };
    return null;
  };

  return {
    take(piece) {
      const end = Math.min(piece.size, piece.offset + piece.data.length);
      state = `the weights of ${piece.peer}, of which ${Math.floor((100 * end) / piece.size)} % are here`;
      const problem = problemOf(piece, end);
      const { request } = piece;
      return {
        type: 'received',
        request,
        bytes: end,
        ...(problem !== null && { problem: problem.slice(0, TEXT_LENGTH) }),
      };
    },
    get state() {
      return state;
    },
    settle({ weights, noWeights = 'the coordinator knows no such request: it is of an earlier version' }) {
      const has = whole;
      whole = null;
      if (!weights) return { peer: null, reason: noWeights };
      if (has?.peer !== weights.peer || has.step !== weights.step) {
        const text = `The coordinator named the weights of ${weights.peer} at step ${weights.step}, and sent none of them.`;
        throw new CodistillError(text, ExitCode.refused);
      }
      assignWeights(model, has.tensors);
      return weights;
    },
  };
}

type Weights = ReadonlyMap<string, SafeTensor>;

/** What others send is looked at as a whole before any of it is used. */
function readWeights(model: Model, bytes: Uint8Array): { tensors: Weights } | { problem: string } {
  try {
    const { tensors } = decodeSafetensors(bytes);
    expectFits(weightsOf(model), tensors, model.name);
    for (const [name, { dtype, values }] of tensors) {
      if (dtype === 'F32' && hasNonFinite(values)) return { problem: `"${name}" is not finite` };
    }
    return { tensors };
  } catch (error) {
    if (error instanceof DataError) return { problem: error.message };
    throw error;
  }
}
