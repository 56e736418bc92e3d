/**
 * Which peers' contributions are no honest predictions, as decisions without sockets or clocks. Each round that is
 * closed is looked at as a whole: what it shows depends on what was accepted, never on who came first.
 *
 * Each fault is a symptom that has to show itself in several rounds; a round without it takes one of these back. A
 * peer that shows one often enough is in quarantine: its contributions are looked at, but nobody learns from them. It
 * leaves when it has shown none for a while.
 *
 * `constant` and `replayed` are evident from the peer alone. `one-hot` and `permuted` are by comparison with the others,
 * and count only where more than half of the trusted peers, the suspect included, bear them out: of two peers, neither
 * can accuse the other.
 */
import type { Payload } from '../roundState.ts';
import { classOfOthers, consensusOf, isSure, NONE } from './consensus.ts';
import { isConstant, type Repeated } from './constant.ts';
import { type Observation, observe } from './observe.ts';
import { type Confusion, confuse, createConfusion, isPermuted } from './permuted.ts';
import { isReplayed, type Said } from './replayed.ts';

/** What can be wrong with contributions, in the order in which one is named where there are several. */
const SYMPTOMS = ['constant', 'replayed', 'one-hot', 'permuted'] as const;
type Symptom = (typeof SYMPTOMS)[number];
export type Fault = 'non-finite' | Symptom;

const MEANINGS: Readonly<Record<Fault, string>> = {
  'non-finite': 'kept sending values that are not finite',
  constant: 'predicts the same for every sample',
  replayed: 'says of new samples, bit for bit, what it said of others before',
  'one-hot': 'is certain of everything, where most others are not',
  permuted: 'agrees with most others only once its classes are renamed',
};

/** How often a symptom has to show itself; of `permuted`, in how many blocks of rows. */
const LIMITS: Readonly<Record<Symptom, number>> = { constant: 5, replayed: 3, 'one-hot': 20, permuted: 2 };
/** The rows that are needed besides, for the sake of small batches. */
const LEAST_ROWS = { constant: 64, replayed: 0, 'one-hot': 256, permuted: 0 } as const;

/** Contributions with values that are not finite, less the good ones since, after which a peer is sent away. */
export const MAX_NON_FINITE = 4;
/** Rounds without any symptom after which a peer leaves quarantine. */
export const RELEASE_ROUNDS = 50;

/** Certain of everything, and certain of little: mean doubts of a batch that no training has next to each other. */
const [CERTAIN, DOUBTFUL] = [1e-5, 1e-2];

interface Suspect {
  readonly repeated: Repeated;
  readonly said: Said;
  readonly confusion: Confusion;
  readonly counts: Record<Symptom, number>;
  nonFinite: number;
  quarantined: Fault | null;
  /** Rounds since the last symptom, and whether one of them had enough in it to clear it of its fault. */
  good: number;
  cleared: boolean;
}

/** By name. */
export type Suspects = Map<string, Suspect>;

/** What is known of a fault when a peer enters or leaves quarantine. */
export interface Verdict {
  readonly event: 'quarantined' | 'released';
  readonly peer: string;
  readonly reason: string;
}

/** A round that is closed. */
export interface InspectedRound {
  readonly batch: Uint8Array;
  readonly rows: number;
  /** Of the peers that teach, by name. */
  readonly contributions: readonly (readonly [peer: string, payload: Payload])[];
}

/** Why a peer is in quarantine, in words; `null` where it is not. */
export function quarantineOf(suspects: Suspects, peer: string): string | null {
  const fault = suspects.get(peer)?.quarantined ?? null;
  return fault && describe(fault);
}

/** Who is in quarantine, and why: what outlives the coordinator. What is held against the others begins anew. */
export function faultsOf(suspects: Suspects): Record<string, Fault> {
  const all = [...suspects].flatMap(([peer, { quarantined }]) =>
    quarantined ? [[peer, quarantined] as const] : [],
  );
  return Object.fromEntries(all);
}

/** Puts peers back where they were, as {@link faultsOf} has it. */
export function restoreFaults(suspects: Suspects, faults: Readonly<Record<string, Fault>>): void {
  for (const [peer, fault] of Object.entries(faults)) quarantine(suspectOf(suspects, peer), peer, fault);
}

/** Notes a contribution that was refused because it holds values that are not finite. */
export function strike(suspects: Suspects, peer: string): Verdict[] {
  const suspect = suspectOf(suspects, peer);
  suspect.nonFinite = Math.min(MAX_NON_FINITE, suspect.nonFinite + 1);
  if (suspect.nonFinite < MAX_NON_FINITE || suspect.quarantined === 'non-finite') return [];
  return [quarantine(suspect, peer, 'non-finite')];
}

/** Whether so many were refused that the peer is to be sent away. */
export function isPoisoned(suspects: Suspects, peer: string): boolean {
  return suspects.get(peer)?.quarantined === 'non-finite';
}

/** Looks at a round, and says who enters or leaves quarantine by it: from this round on. */
export function inspect(suspects: Suspects, round: InspectedRound): Verdict[] {
  const { contributions, rows, batch } = round;
  const peers = contributions.map(([name, payload]) => {
    const suspect = suspectOf(suspects, name);
    const observation = payload.logits && observe(payload.logits, rows);
    return { name, payload, suspect, observation, trusted: suspect.quarantined === null };
  });
  const trusted = peers.flatMap((each) => (each.trusted && each.observation ? [each.observation] : []));
  const compared = compareAll(peers, trusted, rows);
  return peers.flatMap(({ name, payload, suspect }, i): Verdict[] => {
    const { logits } = payload;
    const constant = logits && isConstant(suspect.repeated, logits, rows);
    // What never changes is no replay.
    const replayed = constant ? null : isReplayed(suspect.said, payload, batch);
    const symptoms = { constant, replayed, ...compared[i]! };
    return judge(suspect, name, symptoms, rows);
  });
}

interface Inspected {
  readonly suspect: Suspect;
  readonly payload: Payload;
  readonly observation: Observation | null;
  readonly trusted: boolean;
}

/** The symptoms by comparison, of each peer; `null` where there are too few to compare with. */
function compareAll(
  peers: readonly Inspected[],
  trusted: readonly Observation[],
  rows: number,
): Record<'one-hot' | 'permuted', boolean | null>[] {
  const classes = (peers.find(({ payload }) => payload.logits)?.payload.logits?.length ?? 0) / rows;
  const consensus = consensusOf(trusted, rows, classes);
  return peers.map(({ suspect, observation, trusted: counted }) => {
    const size = trusted.length + (counted ? 0 : 1);
    if (!observation || size < 3) return { 'one-hot': null, permuted: null };
    for (let row = 0; row < rows; row++) {
      if (!isSure(observation, row, classes)) continue;
      const own = observation.classes[row]!;
      const others = classOfOthers(consensus, row, counted ? own : NONE, size);
      if (others !== NONE) confuse(suspect.confusion, others, own, classes);
    }
    const doubtful = trusted.filter((each) => each !== observation && each.meanDoubt > DOUBTFUL).length;
    return {
      'one-hot': doubtful > size / 2 ? observation.meanDoubt < CERTAIN : null,
      permuted: isPermuted(suspect.confusion, classes),
    };
  });
}

function judge(
  suspect: Suspect,
  peer: string,
  symptoms: Readonly<Record<Symptom, boolean | null>>,
  rows: number,
): Verdict[] {
  const { counts, quarantined } = suspect;
  const full = SYMPTOMS.filter((symptom) => {
    const shown = symptoms[symptom];
    const limit = Math.max(LIMITS[symptom], Math.ceil(LEAST_ROWS[symptom] / rows));
    const change = shown === null ? 0 : shown ? 1 : -1;
    counts[symptom] = Math.max(0, Math.min(limit, counts[symptom] + change));
    return counts[symptom] === limit;
  });
  if (quarantined === 'non-finite') return [];
  suspect.nonFinite = Math.max(0, suspect.nonFinite - 1);
  if (quarantined === null) return full.slice(0, 1).map((symptom) => quarantine(suspect, peer, symptom));
  if (SYMPTOMS.some((symptom) => symptoms[symptom])) {
    Object.assign(suspect, { good: 0, cleared: false });
    return [];
  }
  suspect.good += 1;
  suspect.cleared ||= symptoms[quarantined] === false;
  if (suspect.good < RELEASE_ROUNDS || !suspect.cleared) return [];
  for (const symptom of SYMPTOMS) counts[symptom] = 0;
  suspect.quarantined = null;
  return [{ event: 'released', peer, reason: `no longer ${quarantined}, for ${suspect.good} rounds` }];
}

function quarantine(suspect: Suspect, peer: string, fault: Fault): Verdict {
  Object.assign(suspect, { quarantined: fault, good: 0, cleared: false });
  return { event: 'quarantined', peer, reason: describe(fault) };
}

function describe(fault: Fault): string {
  return `${fault}: ${MEANINGS[fault]}`;
}

function suspectOf(suspects: Suspects, peer: string): Suspect {
  const known = suspects.get(peer);
  if (known) return known;
  const suspect: Suspect = {
    repeated: { row: null },
    said: new Map(),
    confusion: createConfusion(),
    counts: { constant: 0, replayed: 0, 'one-hot': 0, permuted: 0 },
    nonFinite: 0,
    quarantined: null,
    good: 0,
    cleared: false,
  };
  suspects.set(peer, suspect);
  return suspect;
}
