import { isModelPath } from '../src/models/names.ts';
import type { MessageOf, PeerMessage } from '../src/protocol/messages.ts';
import type { BestEvaluation, Evaluation, StartedFrom } from '../src/results/types.ts';
import { createTraffic, type Traffic } from './traffic.ts';

type Hello = MessageOf<PeerMessage, 'hello'>;
type Ready = MessageOf<PeerMessage, 'ready'>;

/** A place in the run, as the experiment lists it. */
export interface Place {
  readonly name: string;
  readonly model: string;
  readonly role: Role;
}

/** Whether a peer learns, or only tells what it predicts. */
export type Role = 'student' | 'teacher';

/** One peer of the run, across its connections. */
export interface Member {
  readonly name: string;
  readonly role: Role;
  model: string;
  backend: string;
  device: string;
  incarnation: string;
  /** The name of the token that it joined with; `null` where it needed none. */
  token: string | null;
  connected: boolean;
  /** `lost`: it left, or lost its place, and may come back. */
  state: 'joining' | 'ready' | 'training' | 'done' | 'lost';
  /** When its connection began or, while it is not connected, ended; in milliseconds. */
  sinceMs: number;
  /** When it last showed that it gets on, or could not, as it waited for an answer; in milliseconds. */
  workedAtMs: number;
  ready: Ready | null;
  progress: MessageOf<PeerMessage, 'progress'> | null;
  /** Its last one, and its most accurate one. */
  evaluation: Evaluation | null;
  best: BestEvaluation | null;
  done: MessageOf<PeerMessage, 'done'> | null;
  /** What was seen of a collapse; `null` while it is healthy. */
  collapsed: string | null;
  /** What it began with, where it asked for another one's weights; `null` where it did not. */
  startedFrom: StartedFrom | null;
  bytesUp: number;
  bytesDown: number;
  readonly traffic: Traffic;
}

export type Members = Map<string, Member>;

/** Why a peer may not join, and what it can do. */
export interface Refusal {
  readonly refused: string;
}

/**
 * Finds the place of a peer that says hello: the one it had, else the free one of its name, else the first free one with
 * its model, else the first free one.
 *
 * @param isOthers whether a name is kept for somebody else, so that only who asks for it may be told so
 */
export function takePlace(
  members: Members,
  places: readonly Place[],
  hello: Hello,
  isOthers: (name: string) => boolean = () => false,
): { readonly name: string; readonly model: string } | Refusal {
  const known = members.get(hello.name ?? '');
  const role = hello.role ?? 'student';
  if (known?.role === role) return { name: known.name, model: hello.model ?? modelOf(known, places) };
  if (known) return { refused: `"${known.name}" is a ${known.role}, and this one says that it is a ${role}` };
  const its = places.filter((place) => place.role === role);
  const named = places.find(({ name }) => name === hello.name);
  if (named && named.role !== role) {
    return {
      refused: `"${named.name}" is the place of a ${named.role}, and this one says that it is a ${role}`,
    };
  }
  if (its.length === 0) return { refused: `the run has no ${role}s` };
  const free = freePlaces(members, its).filter(({ name }) => name === hello.name || !isOthers(name));
  const suits = ({ model }: { readonly model: string }): boolean =>
    hello.model === undefined || model === hello.model;
  const place = free.find(({ name }) => name === hello.name) ?? free.find(suits) ?? free[0];
  if (place) return { name: hello.name ?? place.name, model: hello.model ?? place.model };
  // One that has no name may be back after its end.
  const away = byName(members).find(
    (member) =>
      !member.connected &&
      member.state !== 'done' &&
      member.role === role &&
      !hello.name &&
      suits(member) &&
      !isOthers(member.name),
  );
  if (away) return { name: away.name, model: hello.model ?? modelOf(away, places) };
  const taken = [...members.values()].filter((member) => member.role === role);
  return {
    refused: `the run has its ${its.length} ${role}s already: ${taken.map(({ name }) => name).join(', ')}`,
  };
}

/**
 * The model for a process that takes the name of a member, and asks for none: the one that the member has, unless that is
 * a file which the member named and the experiment does not. Nobody is to choose what another machine loads.
 */
function modelOf({ name, model }: Member, places: readonly Place[]): string {
  if (!isModelPath(model) || places.some((place) => place.model === model)) return model;
  return (places.find((place) => place.name === name) ?? places[0]!).model;
}

/** A peer with the name of a place has that one; one with a name of its own has the first left with its model. */
function freePlaces(members: Members, places: readonly Place[]): Place[] {
  const free = places.filter(({ name }) => !members.has(name));
  for (const { name, model, role } of members.values()) {
    if (role !== places[0]?.role || places.some((place) => place.name === name)) continue;
    const sameModel = free.findIndex((place) => place.model === model);
    free.splice(Math.max(0, sameModel), 1);
  }
  return free;
}

/** Adds a peer, or renews one that is back. */
export function admit(members: Members, name: string, model: string, hello: Hello, nowMs: number): Member {
  const known = members.get(name);
  const facts = {
    model,
    backend: hello.backend,
    device: hello.device,
    incarnation: hello.incarnation,
    connected: true,
    sinceMs: nowMs,
    workedAtMs: nowMs,
  };
  if (known) {
    // What it had finished stays finished: it may be back only to hand in its results.
    return Object.assign(
      known,
      facts,
      known.state === 'done' ? {} : { state: 'joining' as const, done: null },
    );
  }
  const member: Member = {
    name,
    role: hello.role ?? 'student',
    ...facts,
    token: null,
    state: 'joining',
    ready: null,
    progress: null,
    evaluation: null,
    best: null,
    done: null,
    collapsed: null,
    startedFrom: null,
    bytesUp: 0,
    bytesDown: 0,
    traffic: createTraffic(),
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
    compare('dataset', shortDigest(newcomer.dataset), shortDigest(reference.dataset))
  );
}

/** So short that a close reason has room for two. */
function shortDigest(digest: string): string {
  return digest.slice(0, 12);
}

/** Members in the fixed order of sums: by name. */
export function byName(members: Members): Member[] {
  return [...members.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}
