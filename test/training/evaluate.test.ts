import { setImmediate as eventLoopTurn } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadBackend } from '../../src/backend/select.ts';
import type { Dataset, ImageSet } from '../../src/datasets/types.ts';
import type { Model } from '../../src/models/types.ts';
import { predictTestSet } from '../../src/training/evaluate.ts';
import { linearModel } from '../support/models.ts';
import { expectClose, expectNoLeak } from '../support/tensors.ts';

beforeAll(async () => {
  await loadBackend('wasm');
});

/** Images of two pixels that hold the sample's number: its low and its high byte. */
function numbered(count: number): ImageSet {
  const images = Uint8Array.from({ length: 2 * count }, (_, i) => (i % 2 === 0 ? i >> 1 : i >> 9));
  return { count, images, labels: new Uint16Array(count) };
}

function datasetOf(testSamples: number): Dataset {
  return {
    name: 'numbers',
    imageShape: [1, 1, 2],
    classNames: ['number', 'negated', 'shift'],
    mean: [0, 0],
    std: [1 / 255, 1 / 255],
    // Another size than the test set's: whoever reads the wrong split fails.
    train: numbered(3),
    test: numbered(testSamples),
    source: 'made up',
    digest: '',
  };
}

/** Logits of sample `i`: `[i, -i, 0.5]`. */
const numberModel = (): Model =>
  linearModel(
    [
      [1, -1, 0],
      [256, -256, 0],
    ],
    [0, 0, 0.5],
  );

const expectedOf = (samples: number) => Array.from({ length: samples }, (_, i) => [i, -i, 0.5]).flat();

/** Predicts, and tells what happened in which order. */
async function predict(samples: number) {
  const model = numberModel();
  const happened: string[] = [];
  const watched: Model = {
    ...model,
    forward(images, training) {
      happened.push(`forward ${images.shape[0]}`);
      return model.forward(images, training);
    },
  };
  const logits = await predictTestSet(watched, datasetOf(samples), async (done) => {
    await eventLoopTurn();
    happened.push(`done ${done}`);
  });
  return { logits, happened };
}

describe('predicting the test set', () => {
  it('gives the logits of every sample, in order, in evaluation mode', async () => {
    const { logits } = await predict(507);
    expectClose(logits, expectedOf(507), 1e-6);
  });

  it('ends with a smaller batch, and waits after each one', async () => {
    const { happened } = await predict(507);
    expect(happened).toEqual(['forward 250', 'done 250', 'forward 250', 'done 500', 'forward 7', 'done 507']);
  });

  it('has no empty batch at the end of a set that its batches fill', async () => {
    const { logits, happened } = await predict(500);
    expect(happened).toEqual(['forward 250', 'done 250', 'forward 250', 'done 500']);
    expectClose(logits, expectedOf(500), 1e-6);
  });

  it('leaves no tensor behind, finished or stopped by what is called between batches', async () => {
    const [model, dataset] = [numberModel(), datasetOf(260)];
    await expectNoLeak(async () => {
      await predictTestSet(model, dataset, async () => {});
      const stopped = predictTestSet(model, dataset, async (done) => {
        throw new Error(`stopped at ${done}`);
      });
      await expect(stopped).rejects.toThrow('stopped at 250');
    });
  });
});
