import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Contribution, contributionOf } from '../../peer/contribution.ts';
import { loadBackend } from '../../src/backend/select.ts';
import { getCodec } from '../../src/codec/index.ts';
import { encode } from '../../src/distill/encoders/index.ts';
import type { Outputs } from '../../src/distill/types.ts';
import type { Wants } from '../../src/protocol/messages.ts';
import { decodePeerMessage, encodeMessage } from '../../src/protocol/wire.ts';
import { normals } from '../support/numeric.ts';
import { expectNoLeak } from '../support/tensors.ts';

beforeAll(async () => {
  await loadBackend('cpu');
});

const [BATCH, CLASSES] = [3, 4];
const LOGITS = normals(BATCH * CLASSES, 2, 'logits');
const STAGE1 = normals(BATCH * 4 * 4 * 3, 1, 'stage1');
const STAGE2 = normals(BATCH * 2 * 2 * 5, 1, 'stage2');
const EMBEDDING = normals(BATCH * 6, 1, 'embedding');

/** Works with a network's outputs, which are gone afterwards, and leaves nothing else on the device. */
async function withOutputs<T>(work: (outputs: Outputs) => Promise<T>): Promise<T> {
  let result!: T;
  await expectNoLeak(async () => {
    const outputs: Outputs = {
      logits: tf.tensor2d(LOGITS, [BATCH, CLASSES]),
      features: {
        stage1: tf.tensor4d(STAGE1, [BATCH, 4, 4, 3]),
        stage2: tf.tensor4d(STAGE2, [BATCH, 2, 2, 5]),
        embedding: tf.tensor2d(EMBEDDING, [BATCH, 6]),
      },
    };
    result = await work(outputs);
    tf.dispose([outputs.logits, ...Object.values(outputs.features)]);
  });
  return result;
}

const wantsOf = (
  logits: boolean,
  ...needs: readonly (readonly [layer: string, encoder: string])[]
): Wants => ({
  ...{ logits, ensemble: 'mean-probabilities', includesSelf: false, temperature: 2 },
  encodings: needs.map(([layer, encoder]) => ({ layer, encoder })),
});

function decoded({
  codec,
  shape,
  data,
}: {
  codec: string;
  shape: readonly number[];
  data: Uint8Array;
}): number[] {
  return [
    ...getCodec(codec).decode(
      data,
      1,
      shape.reduce((product, size) => product * size, 1),
    ),
  ];
}

/** As a coordinator reads it. */
function sent(contribution: Contribution) {
  const rows = { round: 1, step: 1, batch: new Uint8Array(8), view: 'shared' as const };
  const message = decodePeerMessage(encodeMessage({ type: 'logits', ...rows, ...contribution }));
  if (message.type !== 'logits') throw new Error('expected logits');
  return message;
}

describe('what a peer says of a batch', () => {
  it.each(['float16', 'float32'] as const)('is its logits in the codec of the run, %s', async (codec) => {
    const contribution = await withOutputs((outputs) => contributionOf(outputs, wantsOf(true), codec));
    const { logits } = sent(contribution);
    const data = getCodec(codec).encode(Float32Array.from(LOGITS), BATCH, CLASSES);
    expect(logits).toEqual({ codec, shape: [BATCH, CLASSES], data });
    expect(contribution).not.toHaveProperty('encodings');
  });

  it('is features alone where no logits are needed, signs as bits and all else in the codec', async () => {
    const wants = wantsOf(false, ['embedding', 'vector@1'], ['stage1', 'signs@1'], ['stage2', 'map@1']);
    const contribution = await withOutputs((outputs) => contributionOf(outputs, wants, 'float16'));
    expect(contribution).not.toHaveProperty('logits');
    const { encodings } = sent(contribution);
    expect(encodings!.map(({ layer, encoder, codec, shape }) => [layer, encoder, codec, shape])).toEqual([
      ['embedding', 'vector@1', 'float16', [BATCH, 6]],
      ['stage1', 'signs@1', 'bits', [BATCH, 4, 4, 3]],
      ['stage2', 'map@1', 'float16', [BATCH, 2, 2, 5]],
    ]);
    expect(decoded(encodings![1]!)).toEqual(STAGE1.map((value) => (value > 0 ? 1 : 0)));
    for (const [i, value] of decoded(encodings![2]!).entries()) expect(value).toBeCloseTo(STAGE2[i]!, 2);
  });

  it('has an encoding of two layers', async () => {
    const need = { layer: 'stage1+stage2', encoder: 'flow@1' };
    const expected: number[] = [];
    const contribution = await withOutputs((outputs) => {
      expected.push(...tf.tidy(() => [...encode(need, outputs.features).dataSync()]));
      return contributionOf(outputs, wantsOf(true, ['stage1+stage2', 'flow@1']), 'float32');
    });
    const [flow] = sent(contribution).encodings!;
    expect(flow).toMatchObject({ ...need, shape: [BATCH, 5, 3] });
    expect(decoded(flow!)).toEqual(expected);
  });

  it('uses what was trained for an encoding', async () => {
    const doubled = {
      ...{ parameters: new Map(), buffers: new Map() },
      loss: () => tf.zeros([BATCH]) as tf.Tensor1D,
      encode: (layer: tf.Tensor) => tf.mul(layer, 2),
    };
    const trained = new Map([['stage2:factors@1', doubled]]);
    const wants = wantsOf(false, ['stage2', 'factors@1']);
    const contribution = await withOutputs((outputs) => contributionOf(outputs, wants, 'float32', trained));
    expect(decoded(sent(contribution).encodings![0]!)).toEqual(STAGE2.map((value) => 2 * value));
  });

  it('is bytes of its own for logits that are NaN, too', async () => {
    const contribution = await withOutputs(async ({ features }) => {
      const logits = tf.tensor2d(LOGITS.with(5, Number.NaN), [BATCH, CLASSES]);
      const said = await contributionOf({ logits, features }, wantsOf(true), 'float16');
      logits.dispose();
      return said;
    });
    expect(decoded(contribution.logits!)[5]).toBeNaN();
  });
});
