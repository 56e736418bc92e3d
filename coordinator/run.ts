import { getCodec } from '../src/codec/index.ts';
import { pingIntervalMs } from '../src/exchange/pingInterval.ts';
import { CloseCode } from '../src/protocol/closeCodes.ts';
import {
  type CoordinatorMessage,
  type MessageOf,
  type PeerMessage,
  PROTOCOL_VERSION,
} from '../src/protocol/messages.ts';
import { metricsOf } from '../src/results/recorder.ts';
import { malformed, perform, receiveCheckpoint, receiveLogits } from './exchange.ts';
import { passOn, receipt, reviewHandovers, startFresh, wantWeights } from './handover.ts';
import { keyText } from './identity.ts';
import { admit, byName, type Member, mismatch, takePlace } from './members.ts';
import { misfit } from './misfit.ts';
import { excuseWaiting, isStuck, workPatienceMs } from './patience.ts';
import { addChunk, createPredictions } from './predictions.ts';
import { heard, leave, tick } from './rounds.ts';
import { type Run, type RunEffect, SLOW_START_LEASES } from './runState.ts';
import { keep } from './snapshot.ts';
import { hand, start, wantsOthers } from './start.ts';

/** Names with a key that a run remembers. */
const MAX_KEYS = 1_024;

/**
 * The first message of a connection.
 *
 * @param message whose `identity`, if it has one, is proven
 * @param token the name of the one that the peer has shown
 */
export function hello(
  run: Run,
  connection: number,
  message: MessageOf<PeerMessage, 'hello'>,
  nowMs: number,
  token: string | null = null,
): RunEffect[] {
  const refuse = (code: CloseCode, reason: string): RunEffect[] => [
    { type: 'close', connection, code, reason },
    { type: 'event', record: { event: 'refused', ...(message.name && { peer: message.name }), reason } },
  ];
  if (run.phase === 'finished') return refuse(CloseCode.mismatch, 'the run is over');
  const key = message.identity ? keyText(message.identity) : null;
  const isOthers = (name: string): boolean => (run.keys.get(name) ?? key) !== key;
  const name = message.name ?? nameOf(run, key);
  const asked = name === undefined ? message : { ...message, name };
  const place = takePlace(run.members, run.options.places, asked, isOthers);
  if ('refused' in place) return refuse(CloseCode.mismatch, place.refused);
  if (isOthers(place.name)) {
    const reason = key === null ? 'this peer has shown none' : 'this peer has another one';
    return refuse(CloseCode.unauthorized, `"${place.name}" belongs to a key, and ${reason}`);
  }
  if (key !== null && !run.keys.has(place.name) && run.keys.size >= MAX_KEYS) {
    return refuse(CloseCode.mismatch, `the run knows ${MAX_KEYS} names with a key already`);
  }
  const known = run.members.get(place.name);
  if (known?.state === 'done' && known.incarnation !== message.incarnation) {
    return refuse(CloseCode.finished, `"${known.name}" is done already`);
  }

  const superseded = run.connections.get(place.name);
  // Before the start, a newer connection takes over the name and nothing else: its data may be other data.
  if (run.phase === 'waiting') run.members.delete(place.name);
  const member = admit(run.members, place.name, place.model, message, nowMs);
  member.token = token;
  if (key !== null) run.keys.set(member.name, key);
  run.connections.set(member.name, connection);
  const effects: RunEffect[] = [
    { type: 'attach', connection, peer: member.name },
    {
      type: 'event',
      record: {
        event: 'joined',
        peer: member.name,
        reason: `${member.model} on ${member.backend}`,
        ...(token !== null && { token }),
      },
    },
    { type: 'send', connection, message: welcome(run, member) },
  ];
  if (superseded !== undefined) {
    const reason = `a newer connection took the name "${member.name}"`;
    effects.push({ type: 'close', connection: superseded, code: CloseCode.superseded, reason });
    effects.push(...perform(run, leave(run.rounds, member.name, 'away')));
    effects.push(...review(run, nowMs));
  }
  return effects;
}

/** The name of a key that nobody is connected under: its peer is back and has not said which it had. */
function nameOf({ keys, connections }: Run, key: string | null): string | undefined {
  return [...keys].find(([name, its]) => its === key && !connections.has(name))?.[0];
}

function welcome(run: Run, member: Member): MessageOf<CoordinatorMessage, 'welcome'> {
  const { id, settings } = run.options;
  const { name, model } = member;
  return {
    ...{ type: 'welcome', protocol: PROTOCOL_VERSION, run: id, name, model, experiment: { ...settings } },
    pingEvery: pingIntervalMs(settings.exchange.lease),
  };
}

/** Any further message of a peer. */
export function receive(run: Run, peer: string, message: PeerMessage, nowMs: number): RunEffect[] {
  const member = run.members.get(peer)!;
  member.workedAtMs = nowMs;
  switch (message.type) {
    case 'hello':
      return malformed(run, peer, 'hello: expected once, as the first message of a connection');
    case 'proof':
      return malformed(run, peer, 'proof: expected only as the answer to a challenge');
    case 'ready':
      return ready(run, member, message, nowMs);
    case 'logits':
      return receiveLogits(run, member, message, nowMs);
    case 'progress':
      // Of a teacher it is a sign of life, and nothing else.
      if (member.role === 'student') member.progress = message;
      heard(run.rounds, peer, message.phase === 'evaluating', nowMs);
      return metrics(peer, message);
    case 'evaluation': {
      const { type, ...evaluation } = message;
      member.evaluation = evaluation;
      if (evaluation.accuracy > (member.best?.accuracy ?? -1)) member.best = evaluation;
      keep(run);
      return metrics(peer, message);
    }
    case 'notice':
      member.collapsed = message.event === 'collapsed' ? message.reason : null;
      return [{ type: 'event', record: { event: message.event, peer, reason: message.reason } }];
    case 'checkpoint':
      if (message.request === undefined) return receiveCheckpoint(run, member, message);
      return hand(run, passOn(run, member, message, message.request, nowMs), nowMs);
    case 'received':
      return hand(run, receipt(run, member, message, nowMs), nowMs);
    case 'predictions':
      return predictions(run, member, message);
    case 'done': {
      if (!hasStarted(member)) return malformed(run, peer, 'done: expected after start');
      member.done = message;
      // One that was stopped on its way may go on later.
      member.state = message.outcome === 'finished' ? 'done' : 'lost';
      keep(run);
      const reason = `${message.outcome} after ${message.step} steps`;
      return [
        { type: 'event', record: { event: 'done', peer, reason } },
        ...perform(run, leave(run.rounds, peer, message.outcome === 'finished' ? 'finished' : 'left')),
        ...review(run, nowMs),
        ...finishIfOver(run),
      ];
    }
  }
}

function metrics(peer: string, report: MessageOf<PeerMessage, 'progress' | 'evaluation'>): RunEffect[] {
  const record = metricsOf(peer, report);
  return record ? [{ type: 'metrics', record }] : [];
}

/** A connection ended. The peer keeps its place for the length of the lease; before the start it gives it up at once. */
export function disconnected(
  run: Run,
  peer: string,
  connection: number,
  reason: string,
  nowMs: number,
  code?: number,
): RunEffect[] {
  if (run.connections.get(peer) !== connection) return [];
  run.connections.delete(peer);
  const member = run.members.get(peer)!;
  member.connected = false;
  member.sinceMs = nowMs;
  if (run.phase === 'finished' || member.state === 'done') return [];
  if (run.phase === 'waiting') run.members.delete(peer);
  return [
    { type: 'event', record: { event: 'left', peer, reason, ...(code !== undefined && { code }) } },
    ...perform(run, leave(run.rounds, peer, 'away')),
    ...review(run, nowMs),
  ];
}

/** Lets time pass: deadlines of rounds, leases of peers that are away, back without getting ready, or stuck. */
export function advance(run: Run, nowMs: number): RunEffect[] {
  excuseWaiting(run, nowMs);
  const lost = byName(run.members).flatMap((member): RunEffect[] => {
    const reason = whyLost(run, member, nowMs);
    if (reason === null) return [];
    const { name, connected } = member;
    member.state = 'lost';
    const event: RunEffect = { type: 'event', record: { event: 'lost', peer: name, reason } };
    const gone = [event, ...perform(run, leave(run.rounds, name, 'left'))];
    if (!connected) return gone;
    return [
      { type: 'close', connection: run.connections.get(name)!, code: CloseCode.leaseExpired, reason },
      ...gone,
    ];
  });
  if (lost.length > 0) keep(run);
  return [
    ...lost,
    ...perform(run, tick(run.rounds, nowMs)),
    ...review(run, nowMs),
    ...(lost.length > 0 ? finishIfOver(run) : []),
  ];
}

function review(run: Run, nowMs: number): RunEffect[] {
  return hand(run, reviewHandovers(run, nowMs), nowMs);
}

/** Why a peer has lost its place by now; `null` while it has not. */
function whyLost(run: Run, member: Member, nowMs: number): string | null {
  const { connected, state, sinceMs } = member;
  if (state === 'done' || state === 'lost') return null;
  const allowance = allowanceMs(run, member);
  if (nowMs - sinceMs >= allowance)
    return connected ? `not ready within ${allowance / 1000} s` : `away for ${allowance / 1000} s`;
  if (!isStuck(run, member, nowMs)) return null;
  return `no sign of work for ${Math.round(workPatienceMs(run, member) / 1000)} s, while others wait`;
}

/** How long a peer may stay as it is. Before the start, others wait for one that loads: a person sees it, and decides. */
function allowanceMs(run: Run, { connected, state }: Member): number {
  const { lease } = run.options.settings.exchange;
  if (!connected) return lease;
  return run.phase === 'training' && state === 'joining'
    ? SLOW_START_LEASES * lease
    : Number.POSITIVE_INFINITY;
}

function ready(
  run: Run,
  member: Member,
  message: MessageOf<PeerMessage, 'ready'>,
  nowMs: number,
): RunEffect[] {
  if (run.handovers.open.has(member.name))
    return malformed(
      run,
      member.name,
      'ready: expected no other one before the start that answers the first',
    );
  // One that is back is compared with itself as well: what it has handed in has the shape that it declared.
  const reference = byName(run.members).find((m) => m.ready !== null);
  const reason = (reference ? mismatch(message, reference) : null) ?? misfit(run, member, message);
  if (reason !== null) {
    const connection = run.connections.get(member.name)!;
    return [
      { type: 'close', connection, code: CloseCode.mismatch, reason },
      { type: 'event', record: { event: 'refused', peer: member.name, reason } },
      ...disconnected(run, member.name, connection, reason, nowMs),
    ];
  }
  member.ready = message;
  if (member.state === 'done' || run.phase === 'finished') return [];
  const isNew = member.state === 'joining';
  member.state = 'ready';
  if (run.phase === 'training')
    return isNew && wantsOthers(message)
      ? hand(run, wantWeights(run, member, nowMs), nowMs)
      : start(run, [member], nowMs);
  const everyone = byName(run.members);
  if (everyone.length < run.options.places.length || everyone.some((m) => m.state !== 'ready')) return [];
  run.phase = 'training';
  run.wants = everyone.find((m) => m.ready?.wants)?.ready?.wants ?? null;
  const fresh = everyone
    .filter(({ ready }) => ready && wantsOthers(ready))
    .flatMap((each) => startFresh(each, 'the run begins, and nobody has trained yet').effects);
  return [{ type: 'event', record: { event: 'started' } }, ...fresh, ...start(run, everyone, nowMs)];
}

function predictions(run: Run, member: Member, message: MessageOf<PeerMessage, 'predictions'>): RunEffect[] {
  if (!hasStarted(member)) return malformed(run, member.name, 'predictions: expected after start');
  const { testSize, classes } = member.ready!;
  if (message.shape[1] !== classes) {
    return malformed(run, member.name, `predictions.shape[1]: expected ${classes}, got ${message.shape[1]}`);
  }
  const known = run.predictions.get(member.name) ?? createPredictions(testSize, classes);
  run.predictions.set(member.name, known);
  const values = getCodec(message.codec).decode(message.data, message.shape[0], message.shape[1]);
  const problem = addChunk(known, message.offset, values, message.labels);
  return problem === null ? [] : malformed(run, member.name, problem);
}

/** Whether a peer can have results. */
function hasStarted({ state }: Member): boolean {
  return state === 'training' || state === 'done';
}

/**
 * The run is over when one student has finished, and no other is left who could still do so. While all of them are away
 * it is not: they may come back, and go on.
 */
function finishIfOver(run: Run): RunEffect[] {
  const students = byName(run.members).filter(({ role }) => role === 'student');
  if (run.phase !== 'training' || !students.every((m) => m.state === 'done' || m.state === 'lost')) return [];
  if (!students.some((m) => m.state === 'done')) return [];
  run.phase = 'finished';
  keep(run);
  return [{ type: 'finished' }];
}
