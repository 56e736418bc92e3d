import type { MessageOf, PeerMessage } from '../src/protocol/messages.ts';
import type { Evaluation } from '../src/results/types.ts';

type Hello = MessageOf<PeerMessage, 'hello'>;
type Ready = MessageOf<PeerMessage, 'ready'>;

/** A place in the run, as the experiment lists it. */
export interface Place {
  readonly name: string;
  readonly model: string;
}

/** One peer of the run, across its connections. */
export interface Member {
  readonly name: string;
  model: string;
  backend: string;
  device: string;
  incarnation: string;
  connected: boolean;
  state: 'joining' | 'ready' | 'training' | 'done' | 'lost';
  /** When its connection ended, in milliseconds; counts only while it is not connected. */
  leftAtMs: number;
  ready: Ready | null;
  progress: MessageOf<PeerMessage, 'progress'> | null;
  evaluation: Evaluation | null;
  done: MessageOf<PeerMessage, 'done'> | null;
  /** What was seen of a collapse; `null` while it is healthy. */
  collapsed: string | null;
  bytesUp: number;
  bytesDown: number;
}

export type Members = Map<string, Member>;

/** Why a peer may not join, and what it can do. */
export interface Refusal {
  readonly refused: string;
}

/**
 * Finds the place of a peer that says hello: its own name if it has one, else the first free place with its model,
 * else the first free place.
 */
export function takePlace(
  members: Members,
  places: readonly Place[],
  hello: Hello,
): { readonly name: string; readonly model: string } | Refusal {
  if (hello.name !== undefined) {
    const known = members.get(hello.name);
    const place = places.find(({ name }) => name === hello.name);
    const model = hello.model ?? known?.model ?? place?.model;
    if (known || members.size < places.length) return { name: hello.name, model: model ?? places[0]!.model };
    return full(members, places);
  }
  const free = places.filter(({ name }) => !members.has(name));
  const place = free.find(({ model }) => hello.model === undefined || model === hello.model) ?? free[0];
  if (!place) return full(members, places);
  return { name: place.name, model: hello.model ?? place.model };
}

function full(members: Members, places: readonly Place[]): Refusal {
  return { refused: `the run has its ${places.length} peers already: ${[...members.keys()].join(', ')}` };
}

/** Adds a peer, or renews one that is back. */
export function admit(members: Members, name: string, model: string, hello: Hello): Member {
  const known = members.get(name);
  const facts = {
    model,
    backend: hello.backend,
    device: hello.device,
    incarnation: hello.incarnation,
    connected: true,
  };
  if (known) {
    // What it had finished stays finished: it may be back only to hand in its results.
    return Object.assign(known, facts, known.state === 'done' ? {} : { state: 'joining' as const });
  }
  const member: Member = {
    name,
    ...facts,
    state: 'joining',
    leftAtMs: 0,
    ready: null,
    progress: null,
    evaluation: null,
    done: null,
    collapsed: null,
    bytesUp: 0,
    bytesDown: 0,
  };
  members.set(name, member);
  return member;
}

/**
 * Peers teach each other only about the same samples and classes. Compares a newcomer with a peer that is in.
 *
 * @returns why it does not fit, with both values; `null` if it does
 */
export function mismatch(newcomer: Ready, member: Member): string | null {
  const reference = member.ready!;
  const compare = (what: string, ours: unknown, theirs: unknown): string | null =>
    String(ours) === String(theirs)
      ? null
      : `${what}: expected ${theirs} (as ${member.name} has), got ${ours}`;
  return (
    compare('classes', newcomer.classes, reference.classes) ??
    compare('input shape', newcomer.inputShape.join('x'), reference.inputShape.join('x')) ??
    compare('training samples', newcomer.trainSize, reference.trainSize) ??
    compare('test samples', newcomer.testSize, reference.testSize) ??
    compare('digest of the dataset', newcomer.dataset, reference.dataset)
  );
}

/** Members in the fixed order of sums: by name. */
export function byName(members: Members): Member[] {
  return [...members.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}
