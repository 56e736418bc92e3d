import { join } from 'node:path';
import { hasNonFinite } from '../codec/index.ts';
import { meanOfAll } from '../ensemble/meanProbabilities.ts';
import { evaluateLogits } from '../training/metrics.ts';
import { readPredictions, type TestPredictions } from './predictions.ts';
import type { GenerationsSummary, MethodSummary } from './types.ts';

/**
 * Adds to each student what its generations are together: those that were taught by the one before, and the first, which
 * learned alone.
 *
 * @param folders of the trainings of all generations, the first one first
 * @param summary of the last generation
 * @throws {DataError} when the predictions of one are damaged
 */
export async function withGenerations<S extends MethodSummary>(
  summary: S,
  folders: readonly string[],
): Promise<S> {
  const peers = summary.peers.map(async (peer) => {
    const all = folders.map((folder) => readPredictions(join(folder, 'peers', peer.name)));
    const generations = summariseGenerations(await Promise.all(all));
    return generations ? { ...peer, generations } : peer;
  });
  return { ...summary, peers: await Promise.all(peers) };
}

/**
 * @param predictions of each generation; `null` of one that did not come to its end
 * @returns `null` when one is missing, or has diverged
 */
function summariseGenerations(predictions: readonly (TestPredictions | null)[]): GenerationsSummary | null {
  const all = predictions.filter((each) => each !== null);
  const [first] = all;
  if (!first || all.length < predictions.length || all.some(({ logits }) => hasNonFinite(logits)))
    return null;
  const { labels } = first;
  const classes = first.logits.length / labels.length;
  const mean = meanOfAll(
    all.map(({ logits }) => logits),
    labels.length,
    classes,
  );
  return {
    each: all.map(({ logits }) => evaluateLogits(logits, labels, classes)),
    ensemble: evaluateLogits(mean, labels, classes),
  };
}
