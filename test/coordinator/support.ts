import {
  createRounds,
  type Payload,
  type RoundEffect,
  type Rounds,
  type RoundsOptions,
} from '../../coordinator/roundState.ts';
import { join as joinRounds } from '../../coordinator/rounds.ts';
import { hello, receive } from '../../coordinator/run.ts';
import { createRun, type Run, type RunEffect } from '../../coordinator/runState.ts';
import { float32 } from '../../src/codec/float32.ts';
import { experimentSchema, type RunSettings, runSettings } from '../../src/config/schema.ts';
import type {
  CoordinatorMessage,
  MessageOf,
  PeerMessage,
  Wants,
  WireEncoding,
} from '../../src/protocol/messages.ts';

type Message<T extends PeerMessage['type']> = MessageOf<PeerMessage, T>;

/** Settings of a run of tiny tensors: one sample a batch, exact logits. */
export function settingsWith(exchange: object = {}): RunSettings {
  const experiment = {
    data: { batchSize: 1 },
    exchange: { codec: 'float32', ...exchange },
    // So many that any quorum of the tests is allowed.
    peers: [{ model: 'cnn-s', count: 9 }],
  };
  return runSettings(experimentSchema.parse(experiment));
}

/** A run with a place for each of `names`, where nobody is yet; those that start with a "t" are teachers. */
export function emptyRun(names: readonly string[], settings = settingsWith()): Run {
  const places = names.map((name) => ({ name, model: 'cnn-s', role: roleOf(name) }));
  return createRun({ id: 'run', settings, places });
}

export function roleOf(name: string): 'student' | 'teacher' {
  return name.startsWith('t') ? 'teacher' : 'student';
}

/** A run that has started at time 0; the peers' connections are 1, 2, … in the order of `names`. */
export function startedRun(names: readonly string[], settings = settingsWith(), ready = readyWith()): Run {
  const run = emptyRun(names, settings);
  for (const [i, name] of names.entries()) hello(run, i + 1, helloOf(name), 0);
  for (const name of names) receive(run, name, readyOf(name, ready), 0);
  return run;
}

export function helloOf(name: string, changes: Partial<Message<'hello'>> = {}): Message<'hello'> {
  return {
    ...{ type: 'hello', protocol: 1, name, incarnation: `life-of-${name}` },
    ...{ model: 'cnn-s', backend: 'wasm', device: 'a CPU' },
    ...(roleOf(name) === 'teacher' && { role: 'teacher' as const }),
    ...changes,
  };
}

/** What students of `dml` need. */
export const WANTS: Wants = {
  ...{ logits: true, ensemble: 'mean-probabilities', includesSelf: false, temperature: 2, encodings: [] },
};

/** The same of `name`: a teacher needs nothing. */
export function readyOf(name: string, ready = readyWith()): Message<'ready'> {
  const { wants, ...facts } = ready;
  return roleOf(name) === 'teacher' || !wants ? facts : ready;
}

/** What a student that learns from the other students is told at the start of a run without features. */
export function startOf(
  peers: readonly string[],
  own: string,
  wants: Wants = WANTS,
): MessageOf<CoordinatorMessage, 'start'> {
  const others = peers.filter((name) => name !== own);
  const teachers = others.map((name) => ({ name, model: 'cnn-s', layers: {} }));
  return { type: 'start', peers: [...peers], ...(teachers.length > 0 && { teachers }), wants };
}

/** Two classes, four test samples. */
export function readyWith(changes: Partial<Message<'ready'>> = {}): Message<'ready'> {
  return {
    ...{ type: 'ready', dataset: 'ab'.repeat(32), classes: 2, inputShape: [28, 28, 1] },
    ...{ trainSize: 8, testSize: 4, parameters: 100 },
    refused: [{ backend: 'webgpu', reason: 'no card' }],
    wants: WANTS,
    ...changes,
  };
}

/** The digest of the batch of a round. */
export function batchOf(round: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(8).fill(round);
}

/** What a student that teaches nobody says of a batch. */
export function rowsOf(round: number, changes: Partial<Message<'logits'>> = {}): Message<'logits'> {
  return { type: 'logits', round, batch: batchOf(round), view: 'shared', step: round, ...changes };
}

export function logitsOf(
  round: number,
  values: readonly number[] = [0, 1],
  changes: Partial<Message<'logits'>> = {},
): Message<'logits'> {
  return rowsOf(round, { logits: tensorOf(values), ...changes });
}

/** A tensor of one row. */
export function tensorOf(values: readonly number[]): NonNullable<Message<'logits'>['logits']> {
  const data = float32.encode(Float32Array.from(values), 1, values.length);
  return { codec: 'float32', shape: [1, values.length], data };
}

/** What a layer's encoder made of a batch of one sample. */
export function encodingOf(
  values: readonly number[],
  layer = 'stage1',
  encoder = 'attention@1',
): WireEncoding {
  return { layer, encoder, codec: 'float32', shape: [1, values.length], data: tensorOf(values).data };
}

export function progressAt(step: number, changes: Partial<Message<'progress'>> = {}): Message<'progress'> {
  return {
    ...{ type: 'progress', phase: 'training', step, steps: 10, loss: 3, crossEntropy: 1, distillation: 1 },
    ...{ accuracy: 0.5, learningRate: 0.1, distillationWeight: 2, imagesPerSecond: 100, waitFraction: 0.25 },
    ...changes,
  };
}

/** Final logits of the test samples from `offset` on, two classes each. */
export function predictionsOf(
  values: readonly number[],
  labels: readonly number[],
  offset = 0,
): Message<'predictions'> {
  return {
    ...{ type: 'predictions', offset, codec: 'float32', shape: [labels.length, 2] },
    labels: new Uint8Array(labels.flatMap((label) => [label, 0])),
    data: float32.encode(Float32Array.from(values), labels.length, 2),
  };
}

export function doneAt(step: number, changes: Partial<Message<'done'>> = {}): Message<'done'> {
  return {
    ...{ type: 'done', outcome: 'finished', step, imagesPerSecond: 90, waitFraction: 0.125, stepMs: 11 },
    ...changes,
  };
}

/** Rounds of peers that joined at time 0; those that start with a "t" are teachers. */
export function roundsOf(peers: readonly string[], options: Partial<RoundsOptions> = {}): Rounds {
  const rounds = createRounds({ quorum: 1, maxWaitMs: 100, firstRound: 0, ...options });
  for (const peer of peers) enter(rounds, peer, 0, peers);
  return rounds;
}

/** A peer joins, with the part that it has among `peers`: students teach each other where there are no teachers. */
export function enter(
  rounds: Rounds,
  peer: string,
  nowMs: number,
  peers: readonly string[] = [peer],
  step?: number,
): RoundEffect[] {
  const teaches = roleOf(peer) === 'teacher' || !peers.some((each) => roleOf(each) === 'teacher');
  return joinRounds(rounds, peer, nowMs, { teaches, learns: roleOf(peer) === 'student', step });
}

/** What a peer says about a batch, as far as the rounds are concerned. */
export function payloadOf(
  logits: readonly number[] | null = [0, 1],
  changes: Partial<Payload> = {},
): Payload {
  return { logits: logits && Float32Array.from(logits), encodings: [], labels: null, ...changes };
}

/** Whom each effect answers, about which round, and with what. */
export function answersOf(effects: readonly RoundEffect[]): string[] {
  return effects.flatMap((effect) => {
    if (effect.type === 'commit') return [...effect.learners].map((peer) => `${peer} ${effect.round} target`);
    if (effect.type === 'repeated') return [];
    return [`${effect.peer} ${effect.round} ${effect.type === 'advance' ? 'advance' : effect.reason}`];
  });
}

/** The messages among `effects`, each with the connection that it goes to. */
export function sentBy(effects: readonly RunEffect[]): (readonly [connection: number, CoordinatorMessage])[] {
  return effects.flatMap((e) => (e.type === 'send' ? [[e.connection, e.message] as const] : []));
}

/** The names of what is recorded, with whom it is about. */
export function eventsOf(effects: readonly RunEffect[]): string[] {
  return effects.flatMap((e) =>
    e.type === 'event' ? [`${e.record.event} ${e.record.peer ?? ''}`.trim()] : [],
  );
}

/** The closings among `effects`: connection, code and reason. */
export function closesOf(effects: readonly RunEffect[]): (readonly [number, number, string])[] {
  return effects.flatMap((e) => (e.type === 'close' ? [[e.connection, e.code, e.reason] as const] : []));
}
