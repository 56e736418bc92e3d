import { vi } from 'vitest';
import { createSession, type OnCoordinatorLoss } from '../../peer/session.ts';
import { getCodec } from '../../src/codec/index.ts';
import type { CoordinatorMessage, MessageOf, PeerMessage } from '../../src/protocol/messages.ts';
import { createNetwork, START, WELCOME } from './support.ts';

export const PATIENCE_MS = 30_000;
export const facts: Omit<MessageOf<PeerMessage, 'ready'>, 'type'> = {
  dataset: 'a'.repeat(64),
  classes: 2,
  inputShape: [4, 4, 1],
  trainSize: 24,
  testSize: 10,
  parameters: 100,
};

export const request: Omit<MessageOf<PeerMessage, 'logits'>, 'type'> = {
  round: 5,
  step: 5,
  batch: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8),
  view: 'shared',
  logits: tensorOf(1, 2, 3, 4),
};

/** Of the target for {@link request}. */
export const SHAPE = [2, 2] as const;

/** A tensor `[2, 2]`. */
export function tensorOf(...values: number[]): { codec: string; shape: [number, number]; data: Uint8Array } {
  const data = getCodec('float32').encode(Float32Array.from(values), 2, 2);
  return { codec: 'float32', shape: [2, 2], data };
}

export const target = (
  changes: Partial<MessageOf<CoordinatorMessage, 'target'>> = {},
): MessageOf<CoordinatorMessage, 'target'> => ({
  type: 'target',
  round: request.round,
  batch: request.batch,
  view: request.view,
  teachers: 1,
  logits: tensorOf(0, -1, -2, 0),
  ...changes,
});

export const done: PeerMessage = {
  type: 'done',
  outcome: 'finished',
  step: 9,
  imagesPerSecond: 1,
  waitFraction: 0,
  stepMs: 1,
};

export const progress: PeerMessage = {
  type: 'progress',
  phase: 'training',
  step: 1,
  steps: 9,
  loss: 1,
  crossEntropy: 1,
  distillation: 0,
  accuracy: 0,
  learningRate: 1,
  distillationWeight: 0,
  imagesPerSecond: 1,
  waitFraction: 0,
};

export function createPeer() {
  const network = createNetwork();
  const notices: string[] = [];
  const session = createSession({
    hello: { type: 'hello', protocol: 1, incarnation: 'incarnation', backend: 'cpu', device: 'test' },
    connect: network.connect,
    patienceMs: PATIENCE_MS,
    notify: (what) => void notices.push(what),
  });
  return { ...network, session, notices };
}

export type Peer = ReturnType<typeof createPeer>;

/** Lets the newest connection come as far as `start`. */
export function letIn({ latest }: Peer): void {
  latest().open();
  latest().say(WELCOME);
  latest().say(START);
}

/** A peer that trains: joined, ready, started. */
export async function createStarted(onLoss?: OnCoordinatorLoss): Promise<Peer> {
  const peer = createPeer();
  const joined = peer.session.join();
  peer.latest().open();
  peer.latest().say(WELCOME);
  await joined;
  const started = peer.session.ready(facts, onLoss);
  peer.latest().say(START);
  await started;
  return peer;
}

/** Ends the newest connection and lets the time to the next attempt pass. */
export function reconnect(peer: Peer): void {
  peer.latest().drop();
  vi.advanceTimersToNextTimer();
}

export const types = (messages: readonly PeerMessage[]) => messages.map(({ type }) => type);
