import { getCodec, hasNonFinite } from '../src/codec/index.ts';
import { leaveOneOut } from '../src/ensemble/meanProbabilities.ts';
import { CloseCode } from '../src/protocol/closeCodes.ts';
import type { CoordinatorMessage, MessageOf, PeerMessage } from '../src/protocol/messages.ts';
import type { Member } from './members.ts';
import { contribute, type RoundEffect, reject } from './rounds.ts';
import type { Run, RunEffect } from './runState.ts';

/** A student's logits: checked against the run, then counted in their round. */
export function receiveLogits(
  run: Run,
  member: Member,
  message: MessageOf<PeerMessage, 'logits'>,
  nowMs: number,
): RunEffect[] {
  const { data, exchange } = run.options.settings;
  const expected = [data.batchSize, member.ready?.classes];
  if (member.state !== 'training') return malformed(run, member.name, 'logits: expected after start');
  if (String(message.shape) !== String(expected)) {
    return malformed(run, member.name, `logits.shape: expected [${expected}], got [${message.shape}]`);
  }
  if (message.codec !== exchange.codec) {
    return malformed(run, member.name, `logits.codec: expected ${exchange.codec}, got ${message.codec}`);
  }
  const values = getCodec(message.codec).decode(message.data, message.shape[0], message.shape[1]);
  if (hasNonFinite(values)) {
    const detail = 'the logits hold values that are not finite';
    return perform(run, reject(run.rounds, member.name, message.round, detail));
  }
  // The batch's bytes are a view of the frame; they outlive it here.
  const { round, view } = message;
  const batch = message.batch.slice();
  return perform(
    run,
    contribute(run.rounds, { peer: member.name, round, batch, view, logits: values }, nowMs),
  );
}

/** Turns what the rounds decided into messages: the ensemble of each student's teachers is made here. */
export function perform(run: Run, effects: readonly RoundEffect[]): RunEffect[] {
  return effects.flatMap((effect) =>
    effect.type === 'commit' ? commit(run, effect) : noTarget(run, effect),
  );
}

function commit(run: Run, effect: RoundEffect & { type: 'commit' }): RunEffect[] {
  const { data, distill, exchange } = run.options.settings;
  const { round, contributions } = effect;
  const classes = contributions[0]![1].length / data.batchSize;
  const codec = getCodec(exchange.codec);
  const targets = leaveOneOut(
    contributions.map(([, values]) => values),
    data.batchSize,
    classes,
    distill.temperature,
  );
  run.committed += 1;
  return contributions.flatMap(([peer], i) => {
    const connection = run.connections.get(peer);
    if (connection === undefined) return [];
    const message: CoordinatorMessage = {
      type: 'target',
      round,
      batch: effect.batch,
      view: effect.view,
      teachers: contributions.length - 1,
      codec: exchange.codec,
      shape: [data.batchSize, classes],
      data: codec.encode(targets[i]!, data.batchSize, classes),
    };
    return [{ type: 'send', connection, message }];
  });
}

function noTarget(run: Run, effect: RoundEffect & { type: 'noTarget' }): RunEffect[] {
  const { type, peer, ...rest } = effect;
  run.missed[effect.reason] += 1;
  const connection = run.connections.get(peer);
  return [
    {
      type: 'event',
      record: { event: 'missed', peer, round: effect.round, reason: `${effect.reason}: ${effect.detail}` },
    },
    ...(connection === undefined ? [] : [{ type: 'send' as const, connection, message: { type, ...rest } }]),
  ];
}

/** The end of a connection that broke the protocol. */
export function malformed(run: Run, peer: string, reason: string): RunEffect[] {
  return [
    { type: 'close', connection: run.connections.get(peer)!, code: CloseCode.malformed, reason },
    { type: 'event', record: { event: 'malformed', peer, reason } },
  ];
}
