import type { Answer } from '../../peer/answer.ts';
import type { Clock } from '../../peer/clock.ts';
import type { Lender } from '../../peer/lending.ts';
import { createSession, type Session } from '../../peer/session.ts';
import { float32 } from '../../src/codec/float32.ts';
import { batchDigest } from '../../src/protocol/batchDigest.ts';
import type { MessageOf, PeerMessage, Wants } from '../../src/protocol/messages.ts';
import { deriveKey } from '../../src/random.ts';
import type { Network } from './network.ts';
import type { World } from './world.ts';

export const WANTS: Wants = {
  ...{ logits: true, ensemble: 'mean-logits', includesSelf: false, temperature: 2, encodings: [] },
};

/** What a peer has on its disk. Its weights are one number, which every step changes in a way that no other would. */
export interface Checkpoint {
  readonly step: number;
  readonly weights: number;
}

export interface PeerOptions {
  readonly name: string;
  readonly role: 'student' | 'teacher';
  readonly steps: number;
  readonly burnInSteps: number;
  readonly checkpointEvery: number;
  readonly stepMs: number;
  readonly clockRate: number;
  readonly onCoordinatorLoss: 'wait' | 'continue';
  /** Whether the run has teachers: then a student says nothing of its own. */
  readonly taught: boolean;
  /** Told that it begins with the weights of another one. */
  readonly borrowed: (lender: string, step: number, weights: number) => void;
  /** Told about every answer, in the order in which one life gets them. */
  readonly answered: (incarnation: string, round: number, answer: Answer) => void;
}

export interface SimulatedPeer {
  readonly name: string;
  /** How its present life ended; `null` while it goes on. */
  readonly ended: string | null;
  readonly weights: number;
  start(): void;
  /** The process is gone, as by SIGKILL. */
  crash(): void;
  /** It crashes, and what it had on its disk is gone: the next life asks for the weights of the best one. */
  loseDisk(): void;
  /** Whether its weights ever were these, after so many steps. */
  hadWeights(step: number, weights: number): boolean;
  /** SIGTERM: saves its work and leaves. */
  stop(): void;
  /** It computes, and its event loop does not turn. */
  stall(untilMs: number): void;
  slowDown(factor: number): void;
}

const CLASSES = 2;
const VAST = 2 ** 60;

/** A peer: the session that real ones have, around a training that is a chain of numbers. */
export function createPeer(world: World, network: Network, options: PeerOptions): SimulatedPeer {
  const { name, role } = options;
  const initial: Checkpoint = { step: 0, weights: deriveKey('weights', name) };
  let disk: Checkpoint | null = null;
  let lives = 0;
  let wantsWeights = false;
  let reached = 0;
  const had = new Set<string>();
  let weights = initial.weights;
  let ended: string | null = 'not started';
  let stalledUntilMs = 0;
  let factor = 1;
  let life: { alive: boolean; session: Session; stopped: boolean } | null = null;

  const start = (): void => {
    if (life?.alive) return;
    lives += 1;
    ended = null;
    const incarnation = `${name}-life-${String(lives).padStart(4, '0')}`;
    const mine = { alive: true, stopped: false } as NonNullable<typeof life>;
    const whileAlive = (action: () => void) => () => {
      if (!mine.alive) return;
      // A stalled process does what was due when it can.
      if (world.now() < stalledUntilMs) world.after(stalledUntilMs - world.now(), whileAlive(action));
      else action();
    };
    const clock: Clock = {
      now: () => world.now() * options.clockRate,
      after: (ms, action) => world.after(ms / options.clockRate, whileAlive(action)),
    };
    mine.session = createSession({
      hello: {
        ...{ type: 'hello', protocol: 1, name, incarnation, model: 'mlp', backend: 'none', device: 'none' },
        ...(role === 'teacher' && { role }),
      },
      connect: (events) => {
        const socket = network.connect(name, {
          opened: whileAlive(events.opened),
          frame: (bytes) => whileAlive(() => events.frame(bytes))(),
          ping: whileAlive(events.ping),
          closed: (code, reason, error) => whileAlive(() => events.closed(code, reason, error))(),
        });
        return socket;
      },
      ...{ patienceMs: 60_000, notify: () => {}, clock },
    });
    life = mine;
    const pause = (ms: number): Promise<void> =>
      new Promise((resolve) => void clock.after(ms * factor, resolve));
    void live(mine, incarnation, pause).then(
      () => {
        if (mine.alive) ended = mine.stopped ? 'stopped' : 'finished';
        mine.alive = false;
      },
      (error: Error) => {
        if (mine.alive) ended = `failed: ${error.message}`;
        mine.alive = false;
      },
    );
  };

  async function live(
    mine: NonNullable<typeof life>,
    incarnation: string,
    pause: (ms: number) => Promise<void>,
  ): Promise<void> {
    const { session } = mine;
    await session.join();
    await pause(options.stepMs);
    const facts = {
      ...{ dataset: 'ab'.repeat(32), classes: CLASSES, inputShape: [1, 1, 1] as [number, number, number] },
      ...{ trainSize: 1_000, testSize: 1, parameters: 1 },
    };
    let taken: number | null = null;
    const started = await session.ready(
      { ...facts, ...(role === 'student' && { wants: WANTS }), ...(disk && { step: disk.step }) },
      options.onCoordinatorLoss,
      {
        ...(role === 'student' && { lender: lenderFor(session) }),
        ...(wantsWeights && {
          borrower: {
            state: 'the weights of another one',
            take({ request, data }) {
              taken = new DataView(data.buffer, data.byteOffset).getFloat64(0);
              return { type: 'received', request, bytes: data.length };
            },
          },
        }),
      },
    );
    if (role === 'teacher') await teach(mine, pause);
    else {
      const { step: firstStep = 0, weights: origin } = started;
      if (origin) options.borrowed(origin.peer, origin.step, taken!);
      const from = disk ?? { step: firstStep, weights: origin ? taken! : initial.weights };
      const step = await learn(mine, from, incarnation, pause);
      disk = { step, weights };
      const done: MessageOf<PeerMessage, 'done'> = {
        ...{ type: 'done', outcome: step < options.steps ? 'interrupted' : 'finished', step },
        ...{ imagesPerSecond: 1, waitFraction: 0, stepMs: 1 },
      };
      const finished = session.finish([predictions(), done]);
      if (!mine.stopped) await finished;
      else {
        finished.catch(() => {});
        await pause(500 / factor);
      }
    }
    session.close();
  }

  /** Sends the one number that its weights are. */
  function lenderFor(session: Session): Lender {
    return {
      asked({ request, offset }) {
        if (offset === undefined) return;
        const data = new Uint8Array(8);
        new DataView(data.buffer).setFloat64(0, weights);
        session.report({ type: 'checkpoint', request, step: reached, offset, size: data.length, data });
      },
      forget() {},
    };
  }

  async function learn(
    mine: NonNullable<typeof life>,
    from: Checkpoint,
    incarnation: string,
    pause: (ms: number) => Promise<void>,
  ): Promise<number> {
    const { session } = mine;
    let step = from.step;
    weights = from.weights;
    const note = (): void => {
      reached = step;
      had.add(`${step} ${weights}`);
    };
    note();
    while (step < options.steps && !mine.stopped && !session.lost.aborted) {
      await pause(options.stepMs);
      let next = step + 1;
      let lesson = 0;
      if (step >= options.burnInSteps) {
        const said = options.taught ? {} : { logits: logitsOf(weights, step) };
        const answer = await session.exchange(requestOf(step, said), [1, CLASSES]);
        if (answer.kind === 'none' && answer.ended) break;
        options.answered(incarnation, step, answer);
        if (answer.kind === 'target') lesson = deriveKey(...bitsOf(answer.logits!));
        else next = Math.max(next, answer.nextRound ?? 0);
      }
      weights = deriveKey(weights, step, lesson);
      step = Math.min(next, options.steps);
      note();
      if (step % options.checkpointEvery !== 0) continue;
      disk = { step, weights };
      session.report({ type: 'evaluation', step, accuracy: weights / 2 ** 32, nll: 0, ece: 0 });
    }
    return step;
  }

  async function teach(mine: NonNullable<typeof life>, pause: (ms: number) => Promise<void>): Promise<void> {
    const { session } = mine;
    const delivered = session.finish([predictions()]);
    delivered.catch(() => {});
    let step = options.burnInSteps;
    while (step < options.steps && !mine.stopped && !session.isOver()) {
      await session.online();
      await pause(options.stepMs);
      const logits = logitsOf(initial.weights, step);
      const answer = await session.exchange(requestOf(step, { logits }), [1, CLASSES]);
      if (answer.kind === 'none' && answer.reason === 'disconnected') continue;
      step = Math.max(step + 1, (answer.kind === 'none' && answer.nextRound) || 0);
    }
    if (!mine.stopped) await delivered;
  }

  const crash = (): void => {
    if (!life?.alive) return;
    life.alive = false;
    ended = 'crashed';
    network.abandon(name);
  };

  return {
    name,
    get ended() {
      return ended;
    },
    get weights() {
      return weights;
    },
    start,
    crash,
    loseDisk() {
      if (!life?.alive) return;
      crash();
      disk = null;
      wantsWeights = true;
    },
    hadWeights: (step, value) => had.has(`${step} ${value}`),
    stop() {
      if (!life?.alive) return;
      life.stopped = true;
      life.session.abandon();
    },
    stall(untilMs) {
      stalledUntilMs = Math.max(stalledUntilMs, untilMs);
    },
    slowDown(by) {
      factor = by;
    },
  };
}

/** In some steps there are values among them that swallow others in a sum, unless they meet their opposite first. */
export function logitsOf(
  weights: number,
  step: number,
): NonNullable<MessageOf<PeerMessage, 'logits'>['logits']> {
  const values = Float32Array.from({ length: CLASSES }, (_, c) => {
    const key = deriveKey(weights, step, c);
    const usual = key / 2 ** 30 - 2;
    return step % 5 === 0 ? [VAST, -VAST, usual][key % 3]! : usual;
  });
  return { codec: 'float32', shape: [1, CLASSES], data: float32.encode(values, 1, CLASSES) };
}

function requestOf(
  step: number,
  said: Pick<MessageOf<PeerMessage, 'logits'>, 'logits'>,
): Omit<MessageOf<PeerMessage, 'logits'>, 'type'> {
  return { round: step, step, batch: batchDigest(Uint32Array.of(step)), view: 'shared', ...said };
}

function predictions(): PeerMessage {
  const data = float32.encode(Float32Array.of(0, 1), 1, CLASSES);
  return {
    ...{ type: 'predictions', offset: 0, labels: new Uint8Array(2) },
    ...{ codec: 'float32', shape: [1, CLASSES], data },
  };
}

function bitsOf(values: Float32Array): number[] {
  return [...new Uint32Array(values.slice().buffer)];
}
