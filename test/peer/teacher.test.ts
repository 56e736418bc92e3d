import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Answer } from '../../peer/answer.ts';
import type { Network } from '../../peer/network.ts';
import type { Session } from '../../peer/session.ts';
import { teach } from '../../peer/teacher.ts';
import { loadBackend } from '../../src/backend/select.ts';
import { getCodec } from '../../src/codec/index.ts';
import type { RunSettings } from '../../src/config/schema.ts';
import { viewKey } from '../../src/datasets/augment.ts';
import { createBatcher } from '../../src/datasets/batch.ts';
import { batchIds } from '../../src/datasets/sampler.ts';
import { featureShapes } from '../../src/models/featureShapes.ts';
import { createModel } from '../../src/models/index.ts';
import type { Model } from '../../src/models/types.ts';
import { batchDigest } from '../../src/protocol/batchDigest.ts';
import type { MessageOf, PeerMessage, Wants } from '../../src/protocol/messages.ts';
import { expectNoLeak } from '../support/tensors.ts';
import { settingsWith, TINY_DATASET } from './support.ts';

beforeAll(async () => {
  await loadBackend('wasm');
});

type Request = Omit<MessageOf<PeerMessage, 'logits'>, 'type'>;

const WANTS: Wants = {
  ...{ logits: true, ensemble: 'mean-probabilities', includesSelf: false, temperature: 2, encodings: [] },
};
const [ADVANCE, DISCONNECTED] = [
  { kind: 'none', reason: 'advance' },
  { kind: 'none', reason: 'disconnected' },
] as const satisfies Answer[];
/** Six steps of 8: two epochs of three. */
const SETTINGS = settingsWith({ exchange: { codec: 'float32' } });

interface Given {
  readonly settings?: RunSettings;
  readonly wants?: Partial<Wants>;
  /** What the coordinator answers to the nth request. */
  readonly answer?: (n: number, request: Request, run: { over: boolean; abort: AbortController }) => Answer;
}

/** Lets a small network teach; everything that it made is gone afterwards. */
async function teachTiny({ settings = SETTINGS, wants = {}, answer = () => ADVANCE }: Given = {}) {
  const requests: Request[] = [];
  const forwards: number[] = [];
  const run = { over: false, abort: new AbortController() };
  let [online, reports] = [0, 0];
  await expectNoLeak(async () => {
    const model = createModel('cnn-s', { inputShape: [4, 4, 1], classes: 3, seed: 3 });
    const layers = featureShapes(model);
    const counted: Model = {
      ...model,
      forward(images, training) {
        forwards.push(images.shape[0]);
        expect(training).toBe(false);
        return model.forward(images, training);
      },
    };
    const session = {
      online: async () => {
        online += 1;
      },
      isOver: () => run.over,
      report: () => {
        reports += 1;
      },
      exchange: async (request: Request) => {
        requests.push(request);
        return answer(requests.length, request, run);
      },
    } as unknown as Session;
    const network = { name: 'teacher-1', dataset: TINY_DATASET, model: counted, layers, seed: 3 };
    await teach({
      ...{ network: network as unknown as Network, settings, session, signal: run.abort.signal },
      wants: { ...WANTS, ...wants },
    });
    model.dispose();
  });
  const rounds = requests.map(({ round }) => round);
  return { requests, forwards, rounds, reports, online: () => online };
}

/** What the same network says of the batch of a step, without the loop. */
function predicted(step: number): number[] {
  const { dataset, seed } = { dataset: TINY_DATASET, seed: SETTINGS.seed };
  const { imageShape, mean, std, train } = dataset;
  const batcher = createBatcher({ set: train, imageShape, mean, std, augment: 'none' });
  const batch = batcher.gather(idsOf(step), viewKey(seed, step));
  const model = createModel('cnn-s', { inputShape: [4, 4, 1], classes: 3, seed: 3 });
  const logits = tf.tidy(() => [
    ...model.forward(tf.tensor4d(batch.images, [...batch.shape]), false).logits.dataSync(),
  ]);
  model.dispose();
  return logits;
}

const idsOf = (step: number) =>
  batchIds({ seed: SETTINGS.seed, step, batchSize: 8, count: TINY_DATASET.train.count });
const valuesOf = ({ logits }: Request): number[] => [
  ...getCodec(logits!.codec).decode(logits!.data, ...logits!.shape),
];

describe('a teacher', () => {
  it('says of each batch of the students what its network predicts, and which batch it is', async () => {
    const { requests, rounds } = await teachTiny();
    expect(rounds).toEqual([0, 1, 2, 3, 4, 5]);
    for (const request of requests) {
      const { round, step, batch, view } = request;
      expect({ step, batch, view }).toEqual({
        step: round,
        batch: batchDigest(idsOf(round)),
        view: 'shared',
      });
      expect(request).not.toHaveProperty('labels');
      for (const [i, value] of valuesOf(request).entries())
        expect(value).toBeCloseTo(predicted(round)[i]!, 5);
    }
  });

  it('computes what it says of a sample that is never augmented once', async () => {
    const { forwards, requests } = await teachTiny();
    // Three batches are all samples; the second epoch has them in another order.
    expect(forwards).toEqual([8, 8, 8]);
    expect(requests).toHaveLength(6);
  });

  it('computes every batch of augmented samples, and of features', async () => {
    const augmented = settingsWith({ data: { augment: 'crop-flip' } });
    expect((await teachTiny({ settings: augmented })).forwards).toHaveLength(6);
    const encodings = [{ layer: 'embedding', encoder: 'vector@1' }];
    const { forwards, requests } = await teachTiny({ wants: { logits: false, encodings } });
    expect(forwards).toHaveLength(6);
    expect(requests[0]).not.toHaveProperty('logits');
    expect(requests[0]!.encodings).toMatchObject([{ layer: 'embedding', shape: [8, expect.any(Number)] }]);
  });

  it('encodes pairs of layers', async () => {
    const encodings = [{ layer: 'stage1+stage2', encoder: 'flow@1' }];
    const { requests } = await teachTiny({ wants: { encodings } });
    expect(requests[0]!.encodings).toMatchObject([{ layer: 'stage1+stage2', encoder: 'flow@1' }]);
    expect(requests[0]!.logits!.shape).toEqual([8, 3]);
  });

  it('trains what an encoding takes before it says anything, without a change of its own weights', async () => {
    const encodings = [{ layer: 'stage2', encoder: 'factors@1' }];
    const { requests, rounds, reports } = await teachTiny({ wants: { encodings } });
    expect(rounds).toEqual([0, 1, 2, 3, 4, 5]);
    expect(requests[0]!.encodings).toMatchObject([{ ...encodings[0], shape: [8, 2, 2] }]);
    for (const [i, value] of valuesOf(requests[5]!).entries()) expect(value).toBeCloseTo(predicted(5)[i]!, 5);
    // The students are told that it is busy: 30 epochs of three steps.
    expect(reports).toBeGreaterThanOrEqual(90);
  });

  it('has nothing to say in the burn-in', async () => {
    const settings = settingsWith({ distill: { burnInSteps: 4, rampUpSteps: 0 } });
    const { rounds, forwards, online } = await teachTiny({ settings });
    expect(rounds).toEqual([4, 5]);
    expect(forwards).toHaveLength(2);
    expect(online()).toBe(2);
  });

  it('says a batch again that was not answered as the connection broke, once it is there again', async () => {
    const { rounds, forwards, online, requests } = await teachTiny({
      answer: (n) => (n === 3 || n === 4 ? DISCONNECTED : ADVANCE),
    });
    expect(rounds).toEqual([0, 1, 2, 2, 2, 3, 4, 5]);
    expect(online()).toBe(8);
    expect(forwards).toHaveLength(3);
    expect(requests[3]).toEqual(requests[2]);
  });

  it('goes on where the students are, and does not compute what is in between', async () => {
    const { rounds, forwards } = await teachTiny({
      answer: (n) => (n === 1 ? { ...ADVANCE, nextRound: 4 } : ADVANCE),
    });
    expect(rounds).toEqual([0, 4, 5]);
    expect(forwards).toHaveLength(3);
  });

  it('never goes back, nor stays where it was refused', async () => {
    const { rounds } = await teachTiny({
      answer: (n) => (n === 3 ? { kind: 'none', reason: 'refused' } : { ...ADVANCE, nextRound: 0 }),
    });
    expect(rounds).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('stops when the run is over, though it was not answered', async () => {
    const { rounds } = await teachTiny({
      answer: (n, _, run) => {
        run.over = n === 2;
        return n === 2 ? DISCONNECTED : ADVANCE;
      },
    });
    expect(rounds).toEqual([0, 1]);
  });

  it('stops when it is told to', async () => {
    const { rounds } = await teachTiny({
      answer: (n, _, { abort }) => {
        if (n === 3) abort.abort();
        return { kind: 'none', reason: 'interrupted' };
      },
    });
    expect(rounds).toEqual([0, 1, 2]);
  });
});
