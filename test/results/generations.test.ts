import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DataError } from '../../src/errors.ts';
import { withGenerations } from '../../src/results/generations.ts';
import { readPredictions, savePredictions } from '../../src/results/predictions.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';
import { evaluation, methodSummary, peer } from './example.ts';

const labels = Uint16Array.of(0, 1, 1);

/** Logits whose softmax is these probabilities of class 0 and 1. */
const logitsOf = (...ofFirst: readonly number[]): Float32Array =>
  Float32Array.from(ofFirst.flatMap((p) => [Math.log(p), Math.log(1 - p)]));

/** Folders of trainings in which `peer-1` predicted this; `null`: it did not come to its end. */
async function trainings(...logits: readonly (Float32Array | null)[]): Promise<string[]> {
  const run = await temporaryFolder();
  const folders = logits.map((_, i) => join(run, String(i)));
  for (const [i, each] of logits.entries())
    if (each) await savePredictions(join(folders[i]!, 'peers', 'peer-1'), { logits: each, labels });
  return folders;
}

const summary = methodSummary('born-again', [peer('peer-1', evaluation(0.7))]);

async function generationsOf(folders: readonly string[]) {
  const { peers, ...rest } = await withGenerations(summary, folders);
  const { generations, ...same } = peers[0]!;
  expect({ ...rest, peers: [same] }, 'all else stays').toEqual(summary);
  return generations;
}

describe('the generations of a student', () => {
  it('are evaluated each, and by the mean of their probabilities', async () => {
    // Of the three samples the first network knows the first two, the second one the last two, and both know all.
    const folders = await trainings(logitsOf(0.9, 0.2, 0.6), logitsOf(0.4, 0.45, 0.1));
    const { each, ensemble } = (await generationsOf(folders))!;
    expect(each.map(({ accuracy }) => accuracy)).toEqual([2 / 3, 2 / 3]);
    expect(ensemble.accuracy).toBe(1);
    const nll = -(Math.log(0.65) + Math.log(0.675) + Math.log(0.65)) / 3;
    expect(ensemble.nll).toBeCloseTo(nll, 6);
    // Three samples in two bins of confidence, all of them right.
    expect(ensemble.ece).toBeCloseTo(1 - (0.65 + 0.675 + 0.65) / 3, 6);
  });

  it('are not known where one is missing, has diverged, or nobody had any', async () => {
    const whole = logitsOf(0.9, 0.2, 0.6);
    expect(await generationsOf(await trainings(whole, null))).toBeUndefined();
    expect(
      await generationsOf(
        await trainings(
          whole.map(() => Number.NaN),
          whole,
        ),
      ),
    ).toBeUndefined();
    expect(await generationsOf([])).toBeUndefined();
  });
});

describe('the predictions of a student', () => {
  it('are read as they were saved', async () => {
    const [folder] = await trainings(logitsOf(0.9, 0.2, 0.6));
    const read = await readPredictions(join(folder!, 'peers', 'peer-1'));
    expect(read).toEqual({ logits: logitsOf(0.9, 0.2, 0.6), labels });
    expect(await readPredictions(folder!)).toBeNull();
  });

  it('are refused with their path when they are damaged', async () => {
    const folder = await temporaryFolder();
    const path = join(folder, 'predictions.safetensors');
    await writeFile(path, 'not at all');
    await expect(readPredictions(folder)).rejects.toThrow(DataError);
    await expect(readPredictions(folder)).rejects.toThrow(path);
  });
});
