import type { Observation } from './observe.ts';

/** Rows without a class that most are sure of. */
export const NONE = -1;

/** Of one row: the class that most of the trusted peers are sure of, and how many are. */
export interface Consensus {
  readonly classes: Int32Array;
  readonly votes: Uint16Array;
}

/** A prediction counts as a vote when it is nearer to certain than to guessing. */
export function isSure(observation: Observation, row: number, classes: number): boolean {
  return observation.doubts[row]! < (1 - 1 / classes) / 2;
}

/** What the trusted peers agree on, in a time that grows with their number. */
export function consensusOf(trusted: readonly Observation[], rows: number, classes: number): Consensus {
  const consensus = { classes: new Int32Array(rows).fill(NONE), votes: new Uint16Array(rows) };
  for (let row = 0; row < rows; row++) {
    const votes = trusted.flatMap((each) => (isSure(each, row, classes) ? [each.classes[row]!] : []));
    const candidate = majorityCandidate(votes);
    consensus.classes[row] = candidate;
    consensus.votes[row] = votes.filter((vote) => vote === candidate).length;
  }
  return consensus;
}

/** The only class that more than half of the votes can be for (Boyer & Moore 1981). */
function majorityCandidate(votes: readonly number[]): number {
  let [candidate, lead] = [NONE, 0];
  for (const vote of votes) {
    if (lead === 0) candidate = vote;
    lead += vote === candidate ? 1 : -1;
  }
  return candidate;
}

/**
 * The class of a row that the others are sure of, seen from one peer: they have to be more than half of all, that one
 * included. So nobody is outvoted by a single other one, nor by half of them.
 *
 * @param size of the trusted peers and this one
 */
export function classOfOthers(
  { classes, votes }: Consensus,
  row: number,
  own: { readonly observation: Observation; readonly counted: boolean; readonly classes: number },
  size: number,
): number {
  const candidate = classes[row]!;
  const { observation, counted } = own;
  const among = counted && observation.classes[row] === candidate && isSure(observation, row, own.classes);
  return votes[row]! - (among ? 1 : 0) > size / 2 ? candidate : NONE;
}
