import { getCodec } from '../../src/codec/index.ts';
import { batchDigest } from '../../src/protocol/batchDigest.ts';
import {
  type CoordinatorMessage,
  type MessageOf,
  type PeerMessage,
  PROTOCOL_VERSION,
  type Wants,
} from '../../src/protocol/messages.ts';
import { decodeCoordinatorMessage, encodeMessage } from '../../src/protocol/wire.ts';
import { createRandom } from '../../src/random.ts';
import type { History } from './history.ts';
import { type Link, type LinkOptions, type OpenLink, openLink } from './link.ts';

export type Message<T extends PeerMessage['type']> = MessageOf<PeerMessage, T>;
export type Reply<T extends CoordinatorMessage['type']> = MessageOf<CoordinatorMessage, T>;
export type Answer = Reply<'target'> | Reply<'noTarget'>;

/** What all peers of a scripted run have in common. */
export interface Facts {
  readonly rows: number;
  readonly classes: number;
  readonly codec: 'float16' | 'float32';
  readonly seed: number;
  /** Tensors are large: they are all but the same in all rounds, and not written down. */
  readonly light?: boolean;
}

export interface ScriptedPeerOptions {
  readonly name: string;
  readonly url: string;
  readonly facts: Facts;
  readonly history: History;
  /** Where its connections are: in this process by default. */
  readonly open?: OpenLink;
  /** Another life of the same peer. */
  readonly life?: string;
  readonly link?: LinkOptions;
}

/** Longest wait for anything that has to come: far beyond every deadline of a drill. */
const PATIENCE_MS = 20_000;

export const WANTS: Wants = {
  ...{ logits: true, ensemble: 'mean-probabilities', includesSelf: false, temperature: 2, encodings: [] },
};

let links = 0;

/** A peer that does as it is told, right or wrong, and writes down all that it sends and gets. */
export interface ScriptedPeer {
  readonly name: string;
  readonly life: string;
  readonly facts: Facts;
  /** Opens a connection and says hello. Resolves with the welcome; rejects with how it was closed instead. */
  connect(changes?: Partial<Message<'hello'>>): Promise<Reply<'welcome'>>;
  /** The same, and says that it is ready. */
  join(changes?: Partial<Message<'ready'>>): Promise<void>;
  /** Opens a connection and says nothing. */
  open(): Promise<void>;
  /** @param good whether an honest peer would send it */
  send(message: PeerMessage, good?: boolean): void;
  /** Writes down a message that is sent in another way. */
  note(message: PeerMessage): void;
  /** A frame as it is. */
  sendFrame(frame: Uint8Array | string): void;
  /** What this peer says about the batch of a round. */
  contribution(round: number, changes?: Partial<Message<'logits'>>): Message<'logits'>;
  /** Sends it. */
  contribute(round: number, changes?: Partial<Message<'logits'>>, good?: boolean): void;
  /** The next answer about a round that nobody has taken yet. */
  answer(round: number): Promise<Answer>;
  /** Contributes and waits for the answer. */
  exchange(round: number): Promise<Answer>;
  /** Exchanges from one round to another, and goes where it is told to; the rounds that it took part in. */
  play(from: number, to: number): Promise<number[]>;
  /** A sign of life, from which the coordinator takes the length of a step. */
  progress(stepMs?: number): void;
  /** The next message of a type that nobody has taken yet. */
  next<T extends CoordinatorMessage['type']>(type: T): Promise<Reply<T>>;
  /** The link of the latest connection. */
  readonly link: Link;
  /** Of the latest connection. */
  closed(): Promise<{ readonly code: number; readonly reason: string }>;
  isOpen(): boolean;
  /** Says that its work is done, and waits until the run is. */
  finish(): Promise<void>;
}

export function createScriptedPeer(options: ScriptedPeerOptions): ScriptedPeer {
  const { name, facts, history } = options;
  const life = options.life ?? `life-1-of-${name}`;
  let current: Connection | undefined;
  let same: Uint8Array | undefined;
  const connection = (): Connection => {
    if (!current) throw new Error(`${name} has no connection`);
    return current;
  };
  const record = (message: PeerMessage, good: boolean): void => {
    const round = message.type === 'logits' ? message.round : undefined;
    const data = message.type === 'logits' && !facts.light ? message.logits?.data : undefined;
    history.add({
      ...{ kind: 'sent', peer: name, life, link: connection().id, type: message.type, good },
      ...(round !== undefined && { round }),
      ...(message.type === 'logits' && { batch: base64(message.batch) }),
      ...(data && { data: base64(data) }),
    });
  };
  const peer: ScriptedPeer = {
    name,
    life,
    facts,
    get link() {
      return connection().link;
    },
    async open() {
      current = createConnection(options, life);
      await current.opened;
    },
    async connect(changes = {}) {
      await peer.open();
      peer.send({
        ...{ type: 'hello', protocol: PROTOCOL_VERSION, name, incarnation: life },
        ...{ model: 'mlp', backend: 'script', device: 'this machine' },
        ...changes,
      });
      return peer.next('welcome');
    },
    async join(changes) {
      await peer.connect();
      peer.send(readyOf(facts, changes));
    },
    send(message, good = true) {
      record(message, good);
      connection().link.send(encodeMessage(message));
    },
    note: (message) => record(message, true),
    sendFrame(frame) {
      history.add({ kind: 'sent', peer: name, life, link: connection().id, type: '?', good: false });
      connection().link.send(frame);
    },
    contribution(round, changes = {}) {
      const { rows, classes, codec } = facts;
      const encode = (at: number): Uint8Array =>
        getCodec(codec).encode(logitsOf(facts, name, at), rows, classes);
      if (facts.light) same ??= encode(0);
      return {
        ...{ type: 'logits', round, batch: batchOf(round), view: 'shared', step: round },
        logits: { codec, shape: [rows, classes], data: same ? marked(same, round, codec) : encode(round) },
        ...changes,
      };
    },
    contribute(round, changes, good = true) {
      peer.send(peer.contribution(round, changes), good);
    },
    answer: (round) => connection().take((m): m is Answer => isAnswer(m) && m.round === round, `${round}`),
    async exchange(round) {
      peer.contribute(round);
      return peer.answer(round);
    },
    async play(from, to) {
      const taken: number[] = [];
      let round = from;
      while (round < to) {
        const answer = await peer.exchange(round);
        if (answer.type === 'target') taken.push(round);
        round = Math.max(round + 1, (answer.type === 'noTarget' && answer.nextRound) || 0);
      }
      return taken;
    },
    progress(stepMs = 10) {
      const imagesPerSecond = (facts.rows * 1000) / stepMs;
      peer.send({
        ...{ type: 'progress', phase: 'training', step: 0, steps: 1, loss: 1, crossEntropy: 1 },
        ...{ distillation: 0, accuracy: 0, learningRate: 1, distillationWeight: 0, waitFraction: 0 },
        imagesPerSecond,
      });
    },
    next: (type) => connection().take((m): m is never => m.type === type, type),
    closed: () => within(PATIENCE_MS, connection().closed, `${name}: the end of its connection`),
    isOpen: () => current?.isOpen() ?? false,
    async finish() {
      peer.send({
        ...{ type: 'done', outcome: 'finished', step: 1, imagesPerSecond: 1, waitFraction: 0, stepMs: 1 },
      });
      await peer.next('finished');
      peer.link.close(1000, 'finished');
      await peer.closed();
    },
  };
  return peer;
}

interface Connection {
  readonly id: number;
  readonly link: Link;
  readonly opened: Promise<void>;
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  isOpen(): boolean;
  take<M extends CoordinatorMessage>(
    is: (message: CoordinatorMessage) => message is M,
    what: string,
  ): Promise<M>;
}

function createConnection(options: ScriptedPeerOptions, life: string): Connection {
  const { name: peer, history, open = openLink } = options;
  links += 1;
  const at = { peer, life, link: links };
  const inbox: CoordinatorMessage[] = [];
  const looking = new Set<() => void>();
  const lookAll = (): void => {
    for (const look of [...looking]) look();
  };
  let state: 'opening' | 'open' | 'closed' = 'opening';
  let ending = '';
  let resolveOpened!: () => void;
  let resolveClosed!: (how: { code: number; reason: string }) => void;
  const opened = new Promise<void>((resolve) => {
    resolveOpened = resolve;
  });
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    resolveClosed = resolve;
  });
  const link = open(options.url, options.link ?? {}, {
    opened() {
      state = 'open';
      history.add({ kind: 'opened', ...at });
      resolveOpened();
    },
    frame(bytes) {
      const message = decodeCoordinatorMessage(bytes);
      history.add({ kind: 'received', ...at, ...factsOf(message, options.facts) });
      inbox.push(message);
      lookAll();
    },
    closed(code, reason) {
      if (state !== 'opening') history.add({ kind: 'closed', ...at, code, reason });
      ending = `closed with ${code} ${reason}`;
      state = 'closed';
      resolveOpened();
      resolveClosed({ code, reason });
      lookAll();
    },
  });
  return {
    id: at.link,
    link,
    opened: within(
      PATIENCE_MS,
      opened.then(() => {
        if (ending) throw new Error(`${peer}: ${ending}`);
      }),
      `${peer}: its connection`,
    ),
    closed,
    isOpen: () => state === 'open',
    take: (is, what) =>
      within(
        PATIENCE_MS,
        new Promise((resolve, reject) => {
          const look = (): void => {
            const i = inbox.findIndex(is);
            if (i >= 0) {
              looking.delete(look);
              resolve(inbox.splice(i, 1)[0] as never);
            } else if (state === 'closed') {
              looking.delete(look);
              reject(new Error(`${peer}: expected ${what}, but it was ${ending}`));
            }
          };
          looking.add(look);
          look();
        }),
        `${peer}: ${what}`,
      ),
  };
}

/** Rejects when it takes longer. */
export async function within<T>(ms: number, promise: Promise<T>, what: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: expected within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

const isAnswer = (message: CoordinatorMessage): message is Answer =>
  message.type === 'target' || message.type === 'noTarget';

/** The digest of the batch of a round. */
export const batchOf = (round: number): Uint8Array<ArrayBuffer> => batchDigest(Uint32Array.of(round));

/** What a peer predicts in a round, `[rows, classes]`: the same each time that it is asked. */
export function logitsOf({ rows, classes, seed }: Facts, peer: string, round: number): Float32Array {
  const random = createRandom(seed, 'logits', peer, round);
  return Float32Array.from({ length: rows * classes }, () => 3 * random.normal());
}

export function readyOf({ classes }: Facts, changes: Partial<Message<'ready'>> = {}): Message<'ready'> {
  return {
    ...{ type: 'ready', dataset: 'ab'.repeat(32), classes, inputShape: [28, 28, 1] },
    ...{ trainSize: 4096, testSize: 10, parameters: 100, wants: WANTS },
    ...changes,
  };
}

function factsOf(message: CoordinatorMessage, { light }: Facts) {
  switch (message.type) {
    case 'welcome':
      return { type: message.type, run: message.run, name: message.name };
    case 'target': {
      const { type, round, teachers, batch, logits } = message;
      return {
        type,
        round,
        teachers,
        batch: base64(batch),
        ...(logits && !light && { data: base64(logits.data) }),
      };
    }
    case 'noTarget': {
      const { type, round, reason, nextRound } = message;
      return { type, round, reason, ...(nextRound !== undefined && { nextRound }) };
    }
    default:
      return { type: message.type };
  }
}

export const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

/** The same values but for the last bits of the first four, which tell the round: nobody repeats itself. */
function marked(values: Uint8Array, round: number, codec: Facts['codec']): Uint8Array {
  const bytes = values.slice();
  const width = codec === 'float16' ? 2 : 4;
  for (let i = 0; i < 4; i++) bytes[i * width] = (round >> (8 * i)) & 0xff;
  return bytes;
}
