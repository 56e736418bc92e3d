import { getCodec } from '../src/codec/index.ts';
import { CloseCode } from '../src/protocol/closeCodes.ts';
import {
  type CoordinatorMessage,
  type MessageOf,
  type PeerMessage,
  PROTOCOL_VERSION,
} from '../src/protocol/messages.ts';
import { metricsOf } from '../src/results/recorder.ts';
import { malformed, perform, receiveLogits } from './exchange.ts';
import { admit, byName, type Member, mismatch, takePlace } from './members.ts';
import { addChunk, createPredictions } from './predictions.ts';
import { heard, join, leave, tick } from './rounds.ts';
import type { Run, RunEffect } from './runState.ts';

/** The first message of a connection. */
export function hello(run: Run, connection: number, message: MessageOf<PeerMessage, 'hello'>): RunEffect[] {
  const refuse = (code: CloseCode, reason: string): RunEffect[] => [
    { type: 'close', connection, code, reason },
    { type: 'event', record: { event: 'refused', ...(message.name && { peer: message.name }), reason } },
  ];
  if (message.protocol !== PROTOCOL_VERSION) {
    const reason = `expected protocol version ${PROTOCOL_VERSION}, got ${message.protocol}`;
    return refuse(CloseCode.protocolVersion, reason);
  }
  if (run.phase === 'finished') return refuse(CloseCode.mismatch, 'the run is over');
  const place = takePlace(run.members, run.options.places, message);
  if ('refused' in place) return refuse(CloseCode.mismatch, place.refused);

  const superseded = run.connections.get(place.name);
  const member = admit(run.members, place.name, place.model, message);
  run.connections.set(member.name, connection);
  const effects: RunEffect[] = [
    { type: 'attach', connection, peer: member.name },
    {
      type: 'event',
      record: { event: 'joined', peer: member.name, reason: `${member.model} on ${member.backend}` },
    },
    { type: 'send', connection, message: welcome(run, member) },
  ];
  if (superseded !== undefined) {
    const reason = `a newer connection took the name "${member.name}"`;
    effects.push({ type: 'close', connection: superseded, code: CloseCode.superseded, reason });
    effects.push(...perform(run, leave(run.rounds, member.name, false)));
  }
  return effects;
}

function welcome(run: Run, member: Member): MessageOf<CoordinatorMessage, 'welcome'> {
  const { id, settings } = run.options;
  const { name, model } = member;
  return { type: 'welcome', protocol: PROTOCOL_VERSION, run: id, name, model, experiment: { ...settings } };
}

/** Any further message of a peer. */
export function receive(run: Run, peer: string, message: PeerMessage, nowMs: number): RunEffect[] {
  const member = run.members.get(peer)!;
  switch (message.type) {
    case 'hello':
      return malformed(run, peer, 'hello: expected once, as the first message of a connection');
    case 'ready':
      return ready(run, member, message, nowMs);
    case 'logits':
      return receiveLogits(run, member, message, nowMs);
    case 'progress':
      member.progress = message;
      heard(run.rounds, peer, message.phase === 'evaluating', nowMs);
      return metrics(peer, message);
    case 'evaluation': {
      const { accuracy, nll, ece } = message;
      member.evaluation = { accuracy, nll, ece };
      return metrics(peer, message);
    }
    case 'notice':
      member.collapsed = message.event === 'collapsed' ? message.reason : null;
      return [{ type: 'event', record: { event: message.event, peer, reason: message.reason } }];
    case 'predictions':
      return predictions(run, member, message);
    case 'done': {
      member.done = message;
      member.state = 'done';
      const reason = `${message.outcome} after ${message.step} steps`;
      return [
        { type: 'event', record: { event: 'done', peer, reason } },
        ...perform(run, leave(run.rounds, peer, true)),
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
): RunEffect[] {
  if (run.connections.get(peer) !== connection) return [];
  run.connections.delete(peer);
  const member = run.members.get(peer)!;
  member.connected = false;
  member.leftAtMs = nowMs;
  if (run.phase === 'finished' || member.state === 'done') return [];
  if (run.phase === 'waiting') run.members.delete(peer);
  return [
    { type: 'event', record: { event: 'left', peer, reason } },
    ...perform(run, leave(run.rounds, peer, false)),
  ];
}

/** Lets time pass: deadlines of rounds, leases of peers that are away. */
export function advance(run: Run, nowMs: number): RunEffect[] {
  const lost = byName(run.members).filter(
    (m) =>
      !m.connected &&
      (m.state === 'ready' || m.state === 'training' || m.state === 'joining') &&
      nowMs - m.leftAtMs >= run.options.settings.exchange.lease,
  );
  const effects: RunEffect[] = [];
  for (const member of lost) {
    member.state = 'lost';
    const seconds = run.options.settings.exchange.lease / 1000;
    effects.push({
      type: 'event',
      record: { event: 'lost', peer: member.name, reason: `away for ${seconds} s` },
    });
  }
  return [
    ...effects,
    ...perform(run, tick(run.rounds, nowMs)),
    ...(lost.length > 0 ? finishIfOver(run) : []),
  ];
}

function ready(
  run: Run,
  member: Member,
  message: MessageOf<PeerMessage, 'ready'>,
  nowMs: number,
): RunEffect[] {
  const reference = byName(run.members).find((m) => m !== member && m.ready !== null);
  const reason = reference ? mismatch(message, reference) : null;
  const connection = run.connections.get(member.name)!;
  if (reason !== null) {
    run.members.delete(member.name);
    run.connections.delete(member.name);
    return [
      { type: 'close', connection, code: CloseCode.mismatch, reason },
      { type: 'event', record: { event: 'refused', peer: member.name, reason } },
    ];
  }
  member.ready = message;
  if (member.state === 'done') return [];
  member.state = 'ready';
  if (run.phase === 'training') return start(run, [member], nowMs);
  const everyone = byName(run.members);
  if (everyone.length < run.options.places.length || everyone.some((m) => m.state !== 'ready')) return [];
  run.phase = 'training';
  return [{ type: 'event', record: { event: 'started' } }, ...start(run, everyone, nowMs)];
}

function start(run: Run, members: readonly Member[], nowMs: number): RunEffect[] {
  const peers = byName(run.members).map(({ name }) => name);
  return members.map((member) => {
    member.state = 'training';
    join(run.rounds, member.name, nowMs);
    return { type: 'send', connection: run.connections.get(member.name)!, message: { type: 'start', peers } };
  });
}

function predictions(run: Run, member: Member, message: MessageOf<PeerMessage, 'predictions'>): RunEffect[] {
  if (!member.ready) return malformed(run, member.name, 'predictions: expected after ready');
  const { testSize, classes } = member.ready;
  if (message.shape[1] !== classes) {
    return malformed(run, member.name, `predictions.shape[1]: expected ${classes}, got ${message.shape[1]}`);
  }
  const known = run.predictions.get(member.name) ?? createPredictions(testSize, classes);
  run.predictions.set(member.name, known);
  const values = getCodec(message.codec).decode(message.data, message.shape[0], message.shape[1]);
  const problem = addChunk(known, message.offset, values, message.labels);
  return problem === null ? [] : malformed(run, member.name, problem);
}

/** The run is over when nobody is left who could still finish. */
function finishIfOver(run: Run): RunEffect[] {
  const everyone = byName(run.members);
  if (run.phase !== 'training' || !everyone.every((m) => m.state === 'done' || m.state === 'lost')) return [];
  run.phase = 'finished';
  return [{ type: 'finished' }];
}
