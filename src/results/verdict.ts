import {
  meanOfPairs,
  methodsOf,
  origin,
  type PeerPair,
  pairPeers,
  referencesOf,
  standardError,
  trained,
  trouble,
} from './compare.ts';
import { count, decimal, list, percent, points } from './format.ts';
import type { Evaluation, MethodSummary, RunSummary } from './types.ts';

/** Differences of mean NLL (nats) and ECE (0-1) smaller than these are not worth a sentence. */
const NOTABLE = { nll: 0.01, ece: 0.005 } as const;

/**
 * What the comparison says, in words, or null when there is nothing to compare with. A gain is called one only when it
 * exceeds two standard errors of a difference of accuracies on a test set of this size.
 */
export function verdict(summary: Omit<RunSummary, 'verdict'>): string | null {
  const [reference, ...further] = referencesOf(summary);
  if (reference === undefined) return null;

  const pairs = pairPeers(summary, reference);
  const { ours, theirs } = meanOfPairs(pairs);
  const error = standardError(theirs.accuracy, summary.testSamples);
  // A difference of two such means has sqrt(2) times the error; twice that is the usual 95 %.
  const noise = 2 * Math.SQRT2 * error;

  return [
    ...accuracySentences(summary, reference, pairs, noise),
    ...ensembleSentence(ours.accuracy, reference, noise),
    ...otherMeasures(ours, theirs, noise),
    ...further.map((other) => furtherSentence(summary, other)),
    ...troubleSentences(summary),
    `One run is one seed: with ${count(summary.testSamples)} test samples the standard error of an accuracy is ` +
      `${decimal(error * 100, 1)} points, so a difference under about ${decimal(noise * 100, 1)} points is within noise, ` +
      'and other seeds may differ by more.',
  ].join(' ');
}

function accuracySentences(
  summary: MethodSummary,
  reference: MethodSummary,
  pairs: readonly PeerPair[],
  noise: number,
): string[] {
  const { accuracy: ours } = meanOfPairs(pairs).ours;
  const { accuracy: theirs } = meanOfPairs(pairs).theirs;
  const one = pairs.length === 1;
  const what = one ? 'accuracy' : 'mean accuracy';
  const same = `the same ${one ? 'peer' : 'peers'} ${trained(reference.method)} (${percent(theirs)})`;
  const steps = pairs.every((pair) => pair.ours.steps === pair.theirs.steps)
    ? 'at equal steps'
    : 'after a different number of steps';
  const difference = ours - theirs;
  const subject = subjectOf(summary, one);
  if (Math.abs(difference) < noise) {
    return [
      `${subject} ${one ? 'does' : 'do'} neither clearly better nor worse: ${percent(ours)} ${what}, ` +
        `${points(difference)} points against ${same} ${steps}, within noise.`,
    ];
  }
  if (difference < 0) {
    return [
      `${subject} did worse by ${decimal(-difference * 100, 1)} points: ${percent(ours)} ${what} ` +
        `against ${same} ${steps}.`,
    ];
  }
  const losers = pairs.filter((pair) => pair.theirs.test.accuracy - pair.ours.test.accuracy > noise);
  return [
    `${subject}: ${percent(ours)} ${what}, ${points(difference)} points over ${same} ${steps}.`,
    ...(losers.length === 0
      ? []
      : [
          `Not every peer gained: ${list(
            losers.map(
              (pair) => `${pair.ours.name} ${points(pair.ours.test.accuracy - pair.theirs.test.accuracy)}`,
            ),
          )} points.`,
        ]),
  ];
}

function subjectOf({ method, peers }: Pick<RunSummary, 'method' | 'peers'>, one: boolean): string {
  if (one) return `The peer ${trained(method)}`;
  if (method === 'independent') return 'Peers trained alone';
  if (peers.some(({ role }) => role === 'teacher')) return `Peers ${trained(method)}`;
  return method.startsWith('self-') ? 'Self-distilled peers' : 'Co-distilled peers';
}

function ensembleSentence(accuracy: number, reference: MethodSummary, noise: number): string[] {
  if (reference.ensemble === null) return [];
  const ahead = accuracy - reference.ensemble.accuracy;
  const ensemble = `the ensemble of the peers ${trained(reference.method)} (${percent(reference.ensemble.accuracy)})`;
  if (ahead > noise) return [`They also beat ${ensemble}.`];
  if (ahead > -noise) return [`They are level with ${ensemble}, which costs all peers to run.`];
  return [`They stay below ${ensemble}, which costs all peers to run.`];
}

/** Names NLL and ECE where they do not go the way of the accuracy. */
function otherMeasures(ours: Evaluation, theirs: Evaluation, noise: number): string[] {
  const gain = ours.accuracy - theirs.accuracy;
  const direction = Math.abs(gain) < noise ? 0 : Math.sign(gain);
  return (['nll', 'ece'] as const).flatMap((measure) => {
    const better = theirs[measure] - ours[measure];
    if (!(Math.abs(better) >= NOTABLE[measure]) || Math.sign(better) === direction) return [];
    const show = (value: number): string => (measure === 'ece' ? percent(value) : decimal(value, 3));
    const name = measure === 'ece' ? 'Calibration error (ECE)' : 'Negative log-likelihood (NLL)';
    return [
      `${name} is ${better > 0 ? 'better' : 'worse'}: ${show(ours[measure])} against ${show(theirs[measure])}.`,
    ];
  });
}

function furtherSentence(summary: MethodSummary, other: MethodSummary): string {
  const { ours, theirs } = meanOfPairs(pairPeers(summary, other));
  const gain = points(ours.accuracy - theirs.accuracy);
  return `Against the same peers ${trained(other.method)} (${percent(theirs.accuracy)}): ${gain} points.`;
}

function troubleSentences(summary: Omit<RunSummary, 'verdict'>): string[] {
  const found = methodsOf(summary).flatMap(({ method, peers }) =>
    peers.flatMap((peer) => {
      const state = trouble(peer);
      const ended = state === null || state === 'collapsed' ? state : `was ${state}`;
      return [ended, origin(peer)].flatMap((what) =>
        what === null ? [] : [`${peer.name} (${trained(method)}) ${what}`],
      );
    }),
  );
  return found.length === 0 ? [] : [`Read this with care: ${list(found)}.`];
}
