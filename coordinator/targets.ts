import { generalWeights } from '../src/ensemble/generalWeights.ts';
import { type CombiningKind, targets } from '../src/ensemble/targets.ts';
import type { Wants, WireEncoding } from '../src/protocol/messages.ts';
import type { Payload } from './roundState.ts';

/** What one student is taught in a round. */
export interface Target {
  readonly peer: string;
  /** `[rows, classes]`. */
  readonly logits: Float32Array | null;
  readonly encodings: readonly WireEncoding[];
  /** Instead of both, what each teacher says, in the order of their names. */
  readonly apart: readonly Payload[] | null;
  /** How many teachers it is made of. */
  readonly teachers: number;
}

/** One peer's part in a round. */
export type Contributed = readonly [peer: string, payload: Payload];

export interface RoundRoles {
  /** Those among the contributors that targets are made of. */
  readonly teachers: ReadonlySet<string>;
  /** Those that get one, be they among the contributors or away. */
  readonly learners: ReadonlySet<string>;
  readonly rows: number;
}

/** Rounds whose predictions tell how the peers err: enough samples to be worth inverting their covariance. */
const REMEMBERED_ROUNDS = 16;

/** The latest rounds of a run, for the ensemble that weights peers by their errors. */
export type RecentRounds = { readonly contributions: readonly Contributed[]; readonly labels: Uint16Array }[];

/**
 * The targets of a round, by name.
 *
 * @param contributions by name, in the fixed order of sums
 * @param recent rounds before this one; this one is added to them where they are needed
 */
export function targetsOf(
  wants: Wants,
  contributions: readonly Contributed[],
  { teachers, learners, rows }: RoundRoles,
  recent: RecentRounds,
): Target[] {
  const teaching = contributions.filter(([peer]) => teachers.has(peer));
  const learning = [...learners].sort();
  const labels = contributions.find(([, payload]) => payload.labels)?.[1].labels ?? null;
  const weights = wants.ensemble === 'weighted' ? weightsOf(teaching, recent) : undefined;
  if (wants.ensemble === 'weighted' && labels) remember(recent, teaching, labels);
  const apart = wants.ensemble === 'apart';
  const logits =
    wants.logits && !apart ? ensembles(wants, teaching, learning, { rows, labels, weights }) : null;
  return learning.map((peer) => {
    const others = teaching.filter(([name]) => name !== peer);
    return {
      peer,
      logits: logits?.get(peer) ?? null,
      // Features of several networks have no mean: with more than one, the run does not start.
      encodings: apart ? [] : others[0]![1].encodings,
      apart: apart ? others.map(([, payload]) => payload) : null,
      teachers: others.length,
    };
  });
}

function ensembles(
  wants: Wants,
  teaching: readonly Contributed[],
  learning: readonly string[],
  given: { rows: number; labels: Uint16Array | null; weights: readonly number[] | undefined },
): Map<string, Float32Array> {
  const logits = teaching.map(([, payload]) => payload.logits!);
  const { rows, labels, weights } = given;
  const make = (includeSelf: boolean): readonly Float32Array[] =>
    targets(wants.ensemble as CombiningKind, logits, {
      ...{ rows, classes: logits[0]!.length / rows, temperature: wants.temperature, includeSelf },
      labels: labels ?? undefined,
      weights,
    });
  const own = new Map(teaching.map(([peer], i) => [peer, i]));
  const [outsiders, insiders] = [
    learning.filter((peer) => !own.has(peer)),
    learning.filter((peer) => own.has(peer)),
  ];
  // Who said nothing itself, as students that teach nobody and those that are away, learns from all.
  const ofAll = outsiders.length > 0 || wants.includesSelf ? make(true)[0]! : null;
  const ofOthers = insiders.length > 0 && !wants.includesSelf ? make(false) : null;
  return new Map(
    learning.map((peer) => [peer, (ofOthers && own.has(peer) ? ofOthers[own.get(peer)!] : ofAll)!]),
  );
}

function remember(recent: RecentRounds, contributions: readonly Contributed[], labels: Uint16Array): void {
  recent.push({ contributions, labels });
  if (recent.length > REMEMBERED_ROUNDS) recent.shift();
}

/**
 * The weights of KDCL's general ensemble, from what the peers predicted in the latest rounds: of batches that they had
 * not trained on in that epoch yet. The paper takes a held-out part of the data once an epoch. Equal until there is a
 * round with the same peers.
 */
function weightsOf(teaching: readonly Contributed[], recent: RecentRounds): number[] | undefined {
  const names = teaching.map(([name]) => name);
  const rounds = recent.filter(
    ({ contributions }) => String(contributions.map(([name]) => name)) === String(names),
  );
  if (rounds.length === 0) return undefined;
  const labels = rounds.flatMap((round) => [...round.labels]);
  const logits = names.map((_, i) => joined(rounds.map(({ contributions }) => contributions[i]![1].logits!)));
  return generalWeights(logits, labels, labels.length, logits[0]!.length / labels.length);
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
