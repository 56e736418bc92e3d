import { createRandom } from '../../src/random.ts';

/** Something that goes wrong in a simulated run. */
export interface Fault {
  readonly kind:
    | 'crash peer'
    /** It starts again without its disk, and asks for the weights of the best one. */
    | 'lose disk'
    | 'stop peer'
    | 'cut'
    | 'block'
    | 'stall'
    | 'slow'
    | 'duplicate'
    | 'crash coordinator'
    | 'crash coordinator after its next write'
    | 'disk full';
  readonly atMs: number;
  /** How long it lasts: until a process is started again, or all is well again. */
  readonly forMs: number;
  /** Whom it happens to; the coordinator's have none. */
  readonly peer: string | null;
}

/** A run and what goes wrong in it; follows from its seed. */
export interface Plan {
  readonly seed: number;
  /** Those that start with a "t" are teachers. */
  readonly peers: readonly string[];
  readonly quorum: number | 'all';
  readonly onCoordinatorLoss: 'wait' | 'continue';
  readonly steps: number;
  readonly burnInSteps: number;
  readonly checkpointEvery: number;
  /** Milliseconds of one step of each peer, in the order of `peers`. */
  readonly stepMs: readonly number[];
  /** How much faster than the world each peer's clock goes. */
  readonly clockRate: readonly number[];
  /** Rounds of which the journal keeps the answers. */
  readonly journalRounds: number;
  readonly faults: readonly Fault[];
}

const KINDS: readonly Fault['kind'][] = [
  'crash peer',
  'crash peer',
  'stop peer',
  'cut',
  'cut',
  'block',
  'stall',
  'slow',
  'duplicate',
  'crash coordinator',
  'crash coordinator after its next write',
  'disk full',
];

/** Faults begin within this time. */
export const FAULTS_UNTIL_MS = 12_000;

export function planOf(seed: number): Plan {
  const random = createRandom('simulation', seed);
  const pick = <T>(items: readonly T[]): T => items[random.below(items.length)]!;
  const peers = pick([
    ['a', 'b'],
    ['a', 'b'],
    ['a', 'b', 'c'],
    ['a', 'b', 'c', 'd'],
    ['a'],
    ['a', 't1'],
    ['a', 'b', 't1'],
  ]);
  const quorums = peers.length > 2 ? ([1, 2, 'all', 'all'] as const) : ([1, 'all'] as const);
  const quorum = peers.some(isTeacher) ? pick([1, 'all'] as const) : pick(quorums);
  const all = quorum === 'all' || random.below(2) === 0;
  const faults = Array.from({ length: random.below(7) }, (): Fault => {
    const kind = pick(KINDS);
    const ofCoordinator = kind.startsWith('crash coordinator') || kind === 'disk full';
    return {
      kind,
      atMs: random.below(FAULTS_UNTIL_MS),
      forMs: pick([50, 500, 2_000, 2_000, 8_000]),
      peer: ofCoordinator ? null : pick(peers),
    };
  });
  // From a chance of its own: the others stay as they are for each seed.
  const wiped = createRandom('wiped', seed);
  if (wiped.below(4) === 0) {
    const peer = peers[wiped.below(peers.length)]!;
    const forMs = [50, 2_000, 8_000][wiped.below(3)]!;
    if (!isTeacher(peer)) faults.push({ kind: 'lose disk', atMs: wiped.below(FAULTS_UNTIL_MS), forMs, peer });
  }
  return {
    ...{ seed, peers, quorum, steps: 20 + random.below(60), burnInSteps: pick([0, 0, 10]) },
    onCoordinatorLoss: all && random.below(3) > 0 ? 'wait' : 'continue',
    checkpointEvery: pick([1, 7, 25, 1000]),
    stepMs: peers.map(() => pick([20, 100, 100, 400])),
    clockRate: peers.map(() => pick([1, 1, 0.8, 1.25])),
    journalRounds: pick([1000, 1000, 10]),
    faults: faults.sort((a, b) => a.atMs - b.atMs),
  };
}

/** Of their names, which are of one letter for students. */
export const isTeacher = (peer: string): boolean => peer.startsWith('t');

export function describe(fault: Fault): string {
  const whom = fault.peer === null ? '' : ` ${fault.peer}`;
  return `${fault.atMs} ms: ${fault.kind}${whom}, ${fault.forMs} ms`;
}
