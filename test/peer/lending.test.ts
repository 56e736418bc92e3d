import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { createLending, type Lending } from '../../peer/lending.ts';
import { loadBackend } from '../../src/backend/select.ts';
import type { Model } from '../../src/models/types.ts';
import { WEIGHTS_PIECE_BYTES } from '../../src/protocol/limits.ts';
import type { MessageOf, PeerMessage } from '../../src/protocol/messages.ts';
import { decodeSafetensors } from '../../src/training/safetensors.ts';
import { linearModel } from '../support/models.ts';
import { expectNoLeak } from '../support/tensors.ts';

beforeAll(async () => {
  await loadBackend('wasm');
});

type Piece = MessageOf<PeerMessage, 'checkpoint'>;

/** So many that its weights take two pieces. */
const PIXELS = WEIGHTS_PIECE_BYTES / 4 + 1;

interface Lender {
  readonly model: Model;
  readonly lending: Lending;
  readonly pieces: Piece[];
  readonly told: string[];
  ask(request: number, offset?: number): void;
  /** The pieces, once there are so many. */
  sent(count: number): Promise<Piece[]>;
  set(value: number): void;
}

/** A student whose weights are all the same number. */
function lenderOf(value: number): Lender {
  const model = linearModel(
    Array.from({ length: PIXELS }, () => [value]),
    [0.5],
  );
  const pieces: Piece[] = [];
  const told: string[] = [];
  const lending = createLending(
    model,
    (piece) => void pieces.push(piece),
    (what) => void told.push(what),
  );
  return {
    ...{ model, lending, pieces, told },
    ask: (request, offset) =>
      lending.asked({ type: 'sendWeights', request, peer: 'z', ...(offset !== undefined && { offset }) }),
    async sent(count) {
      await vi.waitFor(() => expect(pieces).toHaveLength(count));
      return pieces;
    },
    set: (next) => tf.tidy(() => void model.parameters.get('weight')!.assign(tf.fill([PIXELS, 1], next))),
  };
}

/** The first number of the weights that a piece begins with, and the last that another one ends with. */
function valuesOf(first: Piece, second: Piece): number[] {
  const file = new Uint8Array(first.size);
  for (const { offset, data } of [first, second]) file.set(data, offset);
  const { values } = decodeSafetensors(file).tensors.get('weight')!;
  return [...new Set(values)];
}

describe('a student that lends its weights', () => {
  it('sends each piece once it is asked, all of one moment, while it trains on', async () => {
    const lender = lenderOf(1);
    lender.lending.at(7);
    lender.ask(3, 0);
    // The read is under way.
    lender.set(2);
    lender.lending.at(8);
    await lender.sent(1);
    lender.ask(3, WEIGHTS_PIECE_BYTES);
    const [first, second] = await lender.sent(2);
    expect([first, second].map((piece) => [piece!.request, piece!.step, piece!.offset])).toEqual([
      [3, 7, 0],
      [3, 7, WEIGHTS_PIECE_BYTES],
    ]);
    expect(valuesOf(first!, second!)).toEqual([1]);
    expect(lender.told).toEqual([
      expect.stringMatching(/^sending z the weights of step 7, SHA-256 [0-9a-f]{64}$/),
    ]);
  });

  it('sends the weights as they are to the next one, when nobody is at the others any more', async () => {
    const lender = lenderOf(1);
    lender.lending.at(7);
    lender.ask(0, 0);
    lender.ask(1, 0);
    await lender.sent(2);
    lender.set(2);
    lender.lending.at(8);
    // One has all of them, the other one has left.
    lender.ask(0, WEIGHTS_PIECE_BYTES);
    lender.ask(1);
    await lender.sent(3);
    lender.ask(2, 0);
    await lender.sent(4);
    expect(lender.pieces.map(({ request, step }) => [request, step])).toEqual([
      ...[
        [0, 7],
        [1, 7],
        [0, 7],
        [2, 8],
      ],
    ]);
  });

  it('lets wait who asks before it is where its checkpoint was', async () => {
    const lender = lenderOf(1);
    lender.ask(0, 0);
    lender.set(3);
    lender.lending.at(40);
    await lender.sent(1);
    lender.ask(0, WEIGHTS_PIECE_BYTES);
    const [first, second] = await lender.sent(2);
    expect([first!.step, ...valuesOf(first!, second!)]).toEqual([40, 3]);
  });

  it('sends nothing over a new connection that was asked for over the one before', async () => {
    const lender = lenderOf(1);
    lender.lending.at(7);
    lender.ask(0, 0);
    lender.lending.forget();
    lender.ask(0, WEIGHTS_PIECE_BYTES);
    lender.lending.at(8);
    lender.ask(1, 0);
    expect((await lender.sent(1))[0]).toMatchObject({ request: 1, step: 8 });
  });

  it('keeps nothing on the device', async () => {
    const lender = lenderOf(1);
    lender.lending.at(7);
    await expectNoLeak(async () => {
      lender.pieces.length = 0;
      lender.ask(0, 0);
      await lender.sent(1);
      lender.ask(0);
    });
  });

  it('tells when its weights cannot be read', async () => {
    const lender = lenderOf(1);
    lender.lending.at(7);
    lender.model.dispose();
    lender.ask(0, 0);
    await vi.waitFor(() =>
      expect(lender.told).toEqual([expect.stringMatching(/^could not read the weights for z: /)]),
    );
  });
});
