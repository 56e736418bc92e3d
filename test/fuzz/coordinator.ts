import { once } from 'node:events';
import { setImmediate, setTimeout } from 'node:timers/promises';
import fc from 'fast-check';
import { WebSocket } from 'ws';
import { type PeerMessage, SUBPROTOCOL } from '../../src/protocol/messages.ts';
import { encodeMessage } from '../../src/protocol/wire.ts';
import { helloOf, logitsOf, predictionsOf, progressAt, readyWith } from '../coordinator/support.ts';
import { type Coordinator, startCoordinator } from './coordinatorProcess.ts';
import { wildFrames } from './frames.ts';
import { type HonestPair, startHonestPair } from './honestPair.ts';
import { peerMessages } from './messages.ts';

export interface LiveReport {
  readonly frames: number;
  readonly connections: number;
  /** Rounds of honest peers that closed meanwhile. */
  readonly rounds: number;
  /** The longest time to an answer of the coordinator to a question of its health, in milliseconds. */
  readonly lagMs: number;
  /** By how much its memory grew. */
  readonly growthMiB: number;
}

/** Names of the places that wild peers have in the run; the honest ones have two others. */
const WILD = ['wild-1', 'wild-2'];
/** Rounds that honest peers must get closed once nobody disturbs them. */
const ROUNDS_AFTERWARDS = 20;
/** Connections of wild peers at the same time. */
const AT_ONCE = 4;
/** Time for those rounds, which take a hundredth of it. */
const PATIENCE_MS = 20_000;

/** Of a training with a hundred thousand steps, one sample each. */
const TRAIN_SIZE = 100_000;
/** The most that a coordinator may grow by, whatever it is sent. */
export const MOST_GROWTH_MIB = 64;
/** The longest that an answer to somebody else may be put off. */
export const MOST_LAG_MS = 50;

/** One connection of a wild peer. */
interface Visit {
  /** How far it behaves itself. */
  readonly manners: 'none' | 'hello' | 'ready';
  readonly name: string;
  readonly incarnation: string;
  readonly frames: readonly (Uint8Array | { readonly roundFromNow: number })[];
  /** Whether it leaves without a word. */
  readonly rude: boolean;
}

const known = fc
  .sample(peerMessages, { numRuns: 300, seed: 4 })
  // Who is done stays away.
  .filter(({ type }) => type !== 'done');
const fitting: readonly PeerMessage[] = [
  ...[readyWith({ trainSize: TRAIN_SIZE }), progressAt(3), progressAt(3, { phase: 'evaluating' })],
  ...[predictionsOf([0, 1, 1, 0], [0, 1]), predictionsOf([0, 1], [1], 3), helloOf('wild-1')],
  logitsOf(2 ** 31 - 1),
];
const visits: fc.Arbitrary<Visit> = fc.record({
  manners: fc.constantFrom('none', 'hello', 'ready', 'ready', 'ready'),
  name: fc.constantFrom(...WILD),
  incarnation: fc.constantFrom('the-first-life', 'the-second-life'),
  frames: fc.array(
    fc.oneof(
      { arbitrary: wildFrames.peer, weight: 3 },
      { arbitrary: fc.constantFrom(...known, ...fitting).map(encodeMessage), weight: 2 },
      { arbitrary: fc.record({ roundFromNow: fc.integer({ min: -3, max: 3 }) }), weight: 6 },
    ),
    { minLength: 1, maxLength: 30, size: 'max' },
  ),
  rude: fc.boolean(),
});

const experiment = {
  data: { batchSize: 1 },
  training: { epochs: 1 },
  exchange: { codec: 'float32', maxWait: '20ms' },
  peers: ['honest', 'wild'].map((name) => ({ model: 'cnn-s', name, count: 2 })),
};

/**
 * Sends frames to a coordinator, over connections that may be those of peers of its run, while two others of its peers
 * go on with their rounds.
 *
 * @throws when the coordinator ends, an honest peer is disturbed, or its rounds no longer close
 */
export async function fuzzCoordinator({
  frames,
  seed,
}: {
  frames: number;
  seed: number;
}): Promise<LiveReport> {
  const coordinator = await startCoordinator(experiment);
  const honest = startHonestPair(coordinator.url, ['honest-1', 'honest-2'], TRAIN_SIZE);
  try {
    const report = await disturb(coordinator, honest, { frames, seed });
    await expectRounds(honest, ROUNDS_AFTERWARDS);
    honest.expectWell();
    return report;
  } finally {
    honest.leave();
    await coordinator.stop();
  }
}

async function disturb(
  coordinator: Coordinator,
  honest: HonestPair,
  { frames, seed }: { frames: number; seed: number },
): Promise<LiveReport> {
  // The run starts when everyone is ready.
  await Promise.all(WILD.map((name) => visit(coordinator.url, honest, { ...CALM, name })));
  await expectRounds(honest, ROUNDS_AFTERWARDS);
  const memoryBefore = coordinator.memoryMiB();
  const taughtBefore = honest.taught();
  let [sent, connections, lagMs, growthMiB] = [0, 0, 0, 0];
  for (let lot = 0; sent < frames; lot++) {
    const some = fc.sample(visits, { numRuns: 50, seed: seed + lot });
    for (let i = 0; i < some.length; i += AT_ONCE) {
      const now = some.slice(i, i + AT_ONCE).map((each) => visit(coordinator.url, honest, each));
      lagMs = Math.max(lagMs, await coordinator.lagMs());
      for (const count of await Promise.all(now)) sent += count;
      connections += now.length;
    }
    growthMiB = Math.max(growthMiB, coordinator.memoryMiB() - memoryBefore);
    coordinator.expectAlive();
    honest.expectWell();
  }
  return { frames: sent, connections, rounds: honest.taught() - taughtBefore, lagMs, growthMiB };
}

const CALM: Visit = { manners: 'ready', name: '', incarnation: 'the-first-life', frames: [], rude: true };

/** @returns how many frames were sent: fewer than there are, where the coordinator ends the connection */
async function visit(url: string, honest: HonestPair, one: Visit): Promise<number> {
  const socket = new WebSocket(url, [SUBPROTOCOL], { perMessageDeflate: false });
  socket.on('error', () => {});
  const closed = once(socket, 'close');
  await Promise.race([once(socket, 'open'), closed]);
  const polite = [
    ...(one.manners === 'none' ? [] : [helloOf(one.name, { incarnation: one.incarnation })]),
    ...(one.manners === 'ready' ? [readyWith({ trainSize: TRAIN_SIZE })] : []),
  ];
  const wild = one.frames.map((frame) =>
    frame instanceof Uint8Array
      ? frame
      : encodeMessage(logitsOf(Math.max(0, honest.round() + frame.roundFromNow))),
  );
  let sent = 0;
  for (const frame of [...polite.map(encodeMessage), ...wild]) {
    if (socket.readyState !== WebSocket.OPEN) break;
    socket.send(frame);
    sent += 1;
    // Lets an answer be read in between: a refusal ends the visit.
    await setImmediate();
  }
  // All has been seen to when a pong comes, or the connection has ended.
  if (socket.readyState === WebSocket.OPEN) {
    const pong = once(socket, 'pong');
    socket.ping();
    await Promise.race([pong, closed]);
  }
  if (one.rude) socket.terminate();
  else socket.close();
  await closed;
  return sent;
}

/** Resolves when the honest peers have had so many more rounds; rejects when none closes for long. */
async function expectRounds(honest: HonestPair, count: number): Promise<void> {
  const until = honest.taught() + count;
  const startedAt = performance.now();
  while (honest.taught() < until) {
    honest.expectWell();
    if (performance.now() - startedAt > PATIENCE_MS) {
      throw new Error(
        `expected ${count} rounds to close, got ${honest.taught() - until + count} in ${PATIENCE_MS} ms`,
      );
    }
    await setTimeout(20);
  }
}
