import fc from 'fast-check';
import { MAX_CLASSES, WEIGHTS_PIECE_BYTES } from '../../src/protocol/limits.ts';
import type { MessageOf, PeerMessage, Wants } from '../../src/protocol/messages.ts';
import { ENSEMBLES } from '../../src/protocol/messages.ts';
import {
  doneAt,
  encodingOf,
  helloOf,
  logitsOf,
  predictionsOf,
  progressAt,
  readyOf,
  readyWith,
  rowsOf,
  tensorOf,
  WANTS,
} from '../coordinator/support.ts';
import { peerMessages } from './messages.ts';

/** Something that happens to a coordinator. */
export type Happening =
  /** A new connection, whose first message is this one. */
  | { readonly do: 'connect'; readonly hello: MessageOf<PeerMessage, 'hello'> }
  /** A peer that is in says something; `who` is taken modulo how many there are. */
  | { readonly do: 'say'; readonly who: number; readonly message: PeerMessage }
  /** It sends its predictions for so many rounds, without waiting for an answer. */
  | { readonly do: 'flood'; readonly who: number; readonly from: number; readonly count: number }
  /** A connection ends, also one that the coordinator has closed. */
  | { readonly do: 'drop'; readonly who: number }
  | { readonly do: 'wait'; readonly ms: number };

/** A run, and what happens to it. */
export interface RunCase {
  /** Those that start with a "t" are teachers. */
  readonly names: readonly string[];
  readonly exchange: {
    readonly mode: 'lockstep' | 'checkpoint';
    readonly quorum: number | 'all';
    readonly maxWait: number;
  };
  /** What the students need, where they are let in before anything else happens; otherwise nobody is there. */
  readonly startedWith: Wants | null;
  /** Whether the peers say that they have as many classes and test samples as there may be. */
  readonly vast: boolean;
  /** Layers that each of them has besides those that are wanted. */
  readonly moreLayers: number;
  readonly happenings: readonly Happening[];
}

/** Of 25 epochs of so many samples, one a batch. */
const TRAIN_SIZE = 4_000;
const LAST_ROUND = 25 * TRAIN_SIZE - 1;

const rounds = fc.oneof(fc.nat(4), fc.nat(12), fc.constantFrom(100, LAST_ROUND, LAST_ROUND + 1, 2 ** 31 - 1));
const values = fc.constantFrom([0, 1], [3, -2], [Number.NaN, 0], [3e38, -3e38], [0, 1, 2]);
const label = fc.constantFrom(0, 1, 2).map((each) => Uint8Array.of(each, 0));
const encoding = fc.constantFrom([encodingOf([1, 2])], [encodingOf([1], 'stage2')], []);

const wanted: fc.Arbitrary<Wants> = fc.record({
  logits: fc.oneof({ arbitrary: fc.constant(true), weight: 4 }, { arbitrary: fc.constant(false), weight: 1 }),
  ensemble: fc.constantFrom(...ENSEMBLES),
  includesSelf: fc.boolean(),
  temperature: fc.constantFrom(1, 2, 5e-324, 1e308),
  encodings: fc.constantFrom([], [], [], [{ layer: 'stage1', encoder: 'attention@1' }]),
});

const facts = { trainSize: TRAIN_SIZE, layers: { stage1: [7, 7, 8], embedding: [16] } };

/** A prediction of one of as many classes as there may be. */
const vastRow: PeerMessage = {
  ...predictionsOf([0, 1], [0]),
  ...{ codec: 'bits', shape: [1, MAX_CLASSES], data: new Uint8Array(MAX_CLASSES / 8) },
};

/** Tensors whose bytes are not those of their shapes. */
const misshapen: readonly PeerMessage[] = [
  logitsOf(1, [0, 1], { logits: { ...tensorOf([0, 1]), data: new Uint8Array(7) } }),
  logitsOf(2, [0, 1], { logits: { ...tensorOf([0, 1]), data: new Uint8Array(2 ** 16) } }),
  { ...predictionsOf([0, 1], [0]), data: new Uint8Array(9) },
  { ...predictionsOf([0, 1], [0]), labels: new Uint8Array(1) },
];

/** Mostly what a peer of the run would say, with fields that may not be what the run needs. */
const messages: fc.Arbitrary<PeerMessage> = fc.oneof(
  { arbitrary: fc.constant(readyWith(facts)), weight: 4 },
  { arbitrary: wanted.map((each) => readyWith({ wants: each, ...facts })), weight: 2 },
  { arbitrary: fc.constant(readyOf('t', readyWith(facts))), weight: 2 },
  { arbitrary: fc.tuple(rounds, values).map(([round, logits]) => logitsOf(round, logits)), weight: 12 },
  {
    arbitrary: fc
      .tuple(rounds, values, label)
      .map(([round, logits, labels]) => logitsOf(round, logits, { labels })),
    weight: 8,
  },
  { arbitrary: rounds.map((round) => rowsOf(round)), weight: 4 },
  {
    arbitrary: fc
      .tuple(rounds, encoding)
      .map(([round, encodings]) => logitsOf(round, [0, 1], { encodings: [...encodings], view: 'own' })),
    weight: 3,
  },
  { arbitrary: rounds.map((step) => progressAt(step)), weight: 2 },
  { arbitrary: rounds.map((step) => progressAt(step, { phase: 'evaluating' })), weight: 2 },
  {
    arbitrary: fc.nat(5).map((offset) => predictionsOf([0, 1, 1, 0], [0, 1], offset)),
    weight: 3,
  },
  { arbitrary: fc.constantFrom(vastRow, ...misshapen), weight: 2 },
  { arbitrary: rounds.map((step) => doneAt(step)), weight: 2 },
  {
    arbitrary: fc.tuple(rounds, fc.nat(3)).map(
      ([step, offset]): PeerMessage => ({
        ...{ type: 'checkpoint', step, offset, size: 4 },
        data: Uint8Array.of(1, 2),
      }),
    ),
    weight: 2,
  },
  { arbitrary: fc.constant(readyWith({ ...facts, lends: true, wantsWeights: true })), weight: 3 },
  {
    arbitrary: fc
      .constantFrom(0.25, 0.5)
      .map((accuracy): PeerMessage => ({ type: 'evaluation', step: 1, accuracy, nll: 1, ece: 0 })),
    weight: 3,
  },
  {
    // Pieces that were asked for, and others.
    arbitrary: fc.tuple(fc.nat(2), fc.constantFrom(0, 0, WEIGHTS_PIECE_BYTES), fc.constantFrom(0, 4)).map(
      ([request, offset, more]): PeerMessage => ({
        ...{ type: 'checkpoint', request, step: 1, offset, size: WEIGHTS_PIECE_BYTES + more },
        data: new Uint8Array(offset === 0 ? WEIGHTS_PIECE_BYTES : more),
      }),
    ),
    weight: 4,
  },
  {
    arbitrary: fc
      .tuple(fc.nat(2), fc.constantFrom(0, 4), fc.constantFrom({}, {}, { problem: 'none fits' }))
      .map(
        ([request, more, problem]): PeerMessage => ({
          ...{ type: 'received', request, bytes: WEIGHTS_PIECE_BYTES + more, ...problem },
        }),
      ),
    weight: 4,
  },
  { arbitrary: fc.constantFrom(...fc.sample(peerMessages, { numRuns: 300, seed: 2 })), weight: 6 },
);

/** Peers come under their names, under others, under none, as another process, or in another role. */
const hellos = (names: readonly string[]): fc.Arbitrary<MessageOf<PeerMessage, 'hello'>> =>
  fc
    .tuple(
      fc.constantFrom(...names, 'stranger', 't9'),
      fc.constantFrom({}, {}, { incarnation: 'another-life' }, null),
    )
    .map(([name, changes]) => {
      if (changes !== null) return helloOf(name, changes);
      const { name: _, ...anonymous } = helloOf(name);
      return anonymous;
    });

const happenings = (names: readonly string[]): fc.Arbitrary<Happening> => {
  const happening = <D extends Happening['do']>(kind: D, weight: number, rest: object) => ({
    arbitrary: fc.record({ do: fc.constant(kind), ...rest }) as unknown as fc.Arbitrary<Happening>,
    weight,
  });
  const who = fc.nat(7);
  return fc.oneof(
    happening('say', 160, { who, message: messages }),
    happening('connect', 30, { hello: hellos(names) }),
    happening('wait', 20, { ms: fc.constantFrom(1, 99, 100, 30_000, 300_000) }),
    happening('drop', 10, { who }),
    happening('flood', 1, { who, from: rounds, count: fc.integer({ min: 1, max: 300 }) }),
  );
};

export const runCases: fc.Arbitrary<RunCase> = fc
  .constantFrom(['a'], ['a', 'b'], ['a', 'b', 'c'], ['a', 'b', 't'], ['a', 't', 't2'])
  .chain((names) =>
    fc.record({
      names: fc.constant(names),
      exchange: fc.record({
        mode: fc.constantFrom('lockstep', 'lockstep', 'lockstep', 'checkpoint'),
        quorum: fc.constantFrom(1, 2, 'all'),
        maxWait: fc.constant(100),
      }),
      startedWith: fc.oneof(
        { arbitrary: fc.constant(WANTS), weight: 2 },
        { arbitrary: wanted, weight: 2 },
        { arbitrary: fc.constant(null), weight: 1 },
      ),
      vast: fc.constantFrom(false, false, false, true),
      moreLayers: fc.oneof({ arbitrary: fc.constant(0), weight: 30 }, fc.constant(60), fc.constant(5_000)),
      happenings: fc.array(happenings(names), { minLength: 1, maxLength: 60, size: 'max' }),
    }),
  ) as fc.Arbitrary<RunCase>;

/** What a peer says before the first happening, where the run has started. */
export function readyFor(
  name: string,
  wants: Wants,
  { vast, moreLayers }: RunCase,
): MessageOf<PeerMessage, 'ready'> {
  const sizes = vast ? { classes: MAX_CLASSES, testSize: 2 ** 31 - 1 } : {};
  const more = Array.from({ length: moreLayers }, (_, i) => [`layer${i}`, [1]]);
  const layers = { ...facts.layers, ...Object.fromEntries(more) };
  return readyOf(name, readyWith({ wants, ...facts, ...sizes, layers, lends: true }));
}
