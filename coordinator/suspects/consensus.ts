import type { Observation } from './observe.ts';

/** A row without a class that most are sure of. */
export const NONE = -1;

/** Of each row: the only class that most of the trusted peers can be sure of, and how many are. */
export interface Consensus {
  readonly classes: Int32Array;
  readonly votes: Uint16Array;
}

/** How far from guessing to certain: students that learn from a liar, too, never get very certain. */
const SURE = 0.15;

/** A prediction counts as a vote when it is more than a guess. */
export function isSure({ doubts }: Observation, row: number, classes: number): boolean {
  return doubts[row]! < (1 - 1 / classes) * (1 - SURE);
}

/** What the trusted peers agree on, by majority vote (Boyer & Moore 1981): in a time that grows with their number. */
export function consensusOf(trusted: readonly Observation[], rows: number, classes: number): Consensus {
  const consensus = { classes: new Int32Array(rows), votes: new Uint16Array(rows) };
  for (let row = 0; row < rows; row++) {
    let [candidate, lead] = [NONE, 0];
    for (const each of trusted) {
      if (!isSure(each, row, classes)) continue;
      if (lead === 0) candidate = each.classes[row]!;
      lead += each.classes[row] === candidate ? 1 : -1;
    }
    let votes = 0;
    for (const each of trusted) {
      if (isSure(each, row, classes) && each.classes[row] === candidate) votes += 1;
    }
    consensus.classes[row] = candidate;
    consensus.votes[row] = votes;
  }
  return consensus;
}

/**
 * The class of a row that the others are sure of, seen from a peer: they have to be more than half of all, that one
 * included. So nobody is outvoted by a single other one, nor by half of them.
 *
 * @param own the class that the peer itself is counted for; {@link NONE} where it is not trusted
 * @param size of the trusted peers and this one
 */
export function classOfOthers({ classes, votes }: Consensus, row: number, own: number, size: number): number {
  const candidate = classes[row]!;
  return votes[row]! - (own === candidate ? 1 : 0) > size / 2 ? candidate : NONE;
}
