import { beforeAll, describe, expect, it } from 'vitest';
import { createBorrowing } from '../../peer/borrowing.ts';
import { loadBackend } from '../../src/backend/select.ts';
import { ExitCode } from '../../src/errors.ts';
import type { Model } from '../../src/models/types.ts';
import type { CoordinatorMessage, MessageOf } from '../../src/protocol/messages.ts';
import { readVariables, weightsOf } from '../../src/training/modelWeights.ts';
import { encodeSafetensors } from '../../src/training/safetensors.ts';
import { linearModel } from '../support/models.ts';
import { START } from './support.ts';

beforeAll(async () => {
  await loadBackend('wasm');
});

type Piece = MessageOf<CoordinatorMessage, 'checkpoint'> & { readonly request: number };

const CUT = 100;
const fileOf = async (model: Model): Promise<Uint8Array> =>
  encodeSafetensors(await readVariables(weightsOf(model)), {});

function piecesOf(file: Uint8Array, changes: Partial<Piece> = {}): Piece[] {
  return [0, CUT].map((offset) => ({
    ...{ type: 'checkpoint', peer: 'b', request: 3, step: 7, offset, size: file.length },
    data: file.subarray(offset, offset === 0 ? CUT : file.length),
    ...changes,
  }));
}

const GIVEN = { ...START, weights: { peer: 'b', step: 7, accuracy: 0.5 } };

describe('a student that begins with the weights of another one', () => {
  it('has them bit for bit, and not before the coordinator says so', async () => {
    const [lender, model] = [linearModel([[1], [2]], [3]), linearModel([[0], [0]], [0])];
    const file = await fileOf(lender);
    const borrowing = createBorrowing(model);
    expect(piecesOf(file).map((piece) => borrowing.take(piece))).toEqual([
      { type: 'received', request: 3, bytes: CUT },
      { type: 'received', request: 3, bytes: file.length },
    ]);
    expect(borrowing.state).toBe('the weights of b, of which 100 % are here');
    expect(await fileOf(model)).not.toEqual(file);
    expect(borrowing.settle(GIVEN)).toEqual(GIVEN.weights);
    expect(await fileOf(model)).toEqual(file);
  });

  it('takes those of the next one from the beginning, when the first has left', async () => {
    const model = linearModel([[0]], [0]);
    const [first, second] = await Promise.all([linearModel([[1]], [3]), linearModel([[5]], [3])].map(fileOf));
    const borrowing = createBorrowing(model);
    borrowing.take(piecesOf(first!)[0]!);
    for (const piece of piecesOf(second!, { peer: 'c', request: 4 })) borrowing.take(piece);
    borrowing.settle({ ...START, weights: { peer: 'c', step: 7, accuracy: 0.5 } });
    expect(await fileOf(model)).toEqual(second);
  });

  it('keeps its own where it is told so, whatever has come', async () => {
    const model = linearModel([[0]], [0]);
    const before = await fileOf(model);
    const borrowing = createBorrowing(model);
    for (const piece of piecesOf(await fileOf(linearModel([[1]], [3])))) borrowing.take(piece);
    expect(borrowing.settle({ ...START, noWeights: 'b has left' })).toEqual({
      peer: null,
      reason: 'b has left',
    });
    expect(borrowing.settle(START)).toMatchObject({ reason: expect.stringMatching(/earlier version/) });
    expect(await fileOf(model)).toEqual(before);
  });

  it('does not begin with weights that have not come', () => {
    const borrowing = createBorrowing(linearModel([[0]], [0]));
    expect(() => borrowing.settle(GIVEN)).toThrow(
      expect.objectContaining({
        exitCode: ExitCode.refused,
        message: 'The coordinator named the weights of b at step 7, and sent none of them.',
      }),
    );
  });

  it.each<[string, (file: Uint8Array) => Piece[] | Promise<Piece[]>, RegExp]>([
    ['a piece is missing', (file) => piecesOf(file).slice(1), /^a piece is missing$/],
    [
      'they are more than its model takes',
      (file) => piecesOf(file, { size: 2 ** 30 }).slice(0, 1),
      /^expected at most 1048584 bytes, as linear takes, got 1073741824$/,
    ],
    [
      'they have another shape',
      async () => piecesOf(await fileOf(linearModel([[1], [2]], [3]))),
      /^"weight": expected F32 \[1,1\], as linear has it, got F32 \[2,1\]\.$/,
    ],
    [
      'they are not finite',
      async () => piecesOf(await fileOf(linearModel([[Number.NaN]], [3]))),
      /^"weight" is not finite$/,
    ],
    ['they are no file of weights', () => piecesOf(new Uint8Array(200).fill(255)), /^Expected a header of/],
  ])('says so when they are of no use: %s', async (_, piecesFor, problem) => {
    const model = linearModel([[0]], [0]);
    const borrowing = createBorrowing(model);
    const pieces = await piecesFor(await fileOf(linearModel([[1]], [3])));
    const answers = pieces.map((piece) => borrowing.take(piece));
    expect(answers.at(-1)!.problem).toMatch(problem);
    expect(() => borrowing.settle(GIVEN)).toThrow('sent none of them');
  });
});
