import { getCodec } from '../src/codec/index.ts';
import { encodingKey } from '../src/distill/objective.ts';
import { wantsLabels } from '../src/ensemble/wantsLabels.ts';
import { decodeLabels } from '../src/protocol/classLabels.ts';
import { CloseCode } from '../src/protocol/closeCodes.ts';
import { CHECKPOINT_CHUNK_BYTES } from '../src/protocol/limits.ts';
import type { CoordinatorMessage, MessageOf, PeerMessage } from '../src/protocol/messages.ts';
import { decodeCoordinatorMessage, encodeMessage } from '../src/protocol/wire.ts';
import { byName, type Member } from './members.ts';
import type { MissReason, Payload, RoundEffect } from './roundState.ts';
import { contribute, recalls, reject, sameBytes } from './rounds.ts';
import type { Run, RunEffect } from './runState.ts';
import { nonFiniteOf } from './suspects/nonFinite.ts';
import { withoutSuspects } from './suspects/quarantine.ts';
import { faultsOf, inspect, isPoisoned, quarantineOf, strike, type Verdict } from './suspects/suspects.ts';
import { targetsOf } from './targets.ts';

type Logits = MessageOf<PeerMessage, 'logits'>;

/** What a peer says about a batch: checked against the run, then counted in its round. */
export function receiveLogits(run: Run, member: Member, message: Logits, nowMs: number): RunEffect[] {
  if (member.state !== 'training') return malformed(run, member.name, 'logits: expected after start');
  const problem = notInTraining(run, member, message.round) ?? mismatchOf(run, member, message);
  if (problem !== null) return malformed(run, member.name, problem);
  member.traffic.contributions.received += 1;
  const payload = payloadOf(message);
  const wrong = nonFiniteOf(payload);
  if (wrong !== null) return refuseNonFinite(run, member, message.round, wrong);
  const { round, view } = message;
  const recalled = recall(run, member.name, message);
  if (recalled) return recalled;
  // The batch's bytes are a view of the frame; they outlive it here.
  const batch = message.batch.slice();
  return perform(run, contribute(run.rounds, { peer: member.name, round, batch, view, payload }, nowMs));
}

/** The answer that was made for a peer while it was away, or that it did not get; `null`: the round is still to come. */
function recall(run: Run, peer: string, { round, batch, view }: Logits): RunEffect[] | null {
  if (!recalls(run.rounds, peer, round)) return null;
  const frame = run.journal.recall(round, peer);
  if (!frame) return null;
  const message = decodeCoordinatorMessage(frame);
  if (message.type === 'target' && (message.view !== view || !sameBytes(message.batch, batch))) {
    const detail = 'these rows belong to other samples, or another view, than the round';
    return perform(run, [{ type: 'noTarget', peer, round, reason: 'refused', detail }]);
  }
  run.members.get(peer)!.traffic.contributions.unused.recalled += 1;
  return sendTo(run, peer, message as Answer, frame);
}

/** What a peer says about a batch where there is no memory for it: its peer is answered, and goes on without. */
export function refuseLogits(run: Run, member: Member, { round }: Logits, detail: string): RunEffect[] {
  member.traffic.contributions.received += 1;
  return perform(run, reject(run.rounds, member.name, round, detail));
}

/** A round that the training does not have would, once closed, leave no round for anybody to go on with. */
function notInTraining({ options }: Run, { ready }: Member, round: number): string | null {
  const { data, training } = options.settings;
  const steps = training.epochs * Math.floor(ready!.trainSize / data.batchSize);
  return round < steps ? null : `logits.round: expected a step of the training, below ${steps}, got ${round}`;
}

/** What cannot be used is refused, and whoever keeps sending it is sent away. */
function refuseNonFinite(run: Run, { name }: Member, round: number, tensor: string): RunEffect[] {
  const verdicts = strike(run.suspects, name);
  const refusals = reject(run.rounds, name, round, `${tensor} hold values that are not finite`);
  const effects = [...perform(run, refusals), ...eventsOf(verdicts, round)];
  if (!isPoisoned(run.suspects, name)) return effects;
  const reason = quarantineOf(run.suspects, name)!;
  const connection = run.connections.get(name)!;
  return [...effects, { type: 'close', connection, code: CloseCode.poisoned, reason }];
}

function eventsOf(verdicts: readonly Verdict[], round: number): RunEffect[] {
  return verdicts.map(({ event, peer, reason }) => ({
    type: 'event',
    record: { event, peer, round, reason },
  }));
}

/** How a message differs from what the run's students need of this peer; `null` if it does not. */
function mismatchOf(run: Run, member: Member, { logits, encodings = [], labels }: Logits): string | null {
  const { wants } = run;
  const { data, exchange } = run.options.settings;
  if (wants === null) return 'logits: expected none, as the students need nothing of other peers';
  const teaches = teachesIn(run, member);
  const present = (value: unknown, needed: boolean, field: string): string | null =>
    (value !== undefined) === needed
      ? null
      : `logits.${field}: expected ${needed ? 'it' : 'none'}, as the run's students ${needed ? '' : 'do not '}need it`;
  const shape = [data.batchSize, member.ready?.classes];
  const expected = teaches ? wants.encodings.map(encodingKey).join(', ') : '';
  const got = encodings.map(encodingKey).join(', ');
  return (
    present(logits, teaches && wants.logits, 'logits') ??
    present(labels, member.role === 'student' && wantsLabels(wants.ensemble), 'labels') ??
    (logits && String(logits.shape) !== String(shape)
      ? `logits.logits.shape: expected [${shape}], got [${logits.shape}]`
      : null) ??
    (logits && logits.codec !== exchange.codec
      ? `logits.logits.codec: expected ${exchange.codec}, got ${logits.codec}`
      : null) ??
    (labels && labels.byteLength !== 2 * data.batchSize
      ? `logits.labels: expected ${2 * data.batchSize} bytes, got ${labels.byteLength}`
      : null) ??
    (labels ? wrongLabel(decodeLabels(labels), member.ready!.classes) : null) ??
    (got === expected
      ? partialEncoding(encodings, data.batchSize)
      : `logits.encodings: expected ${expected || 'none'}, got ${got || 'none'}`)
  );
}

/** Every encoding has a row for each sample: methods that compare samples with each other need the whole batch. */
function partialEncoding(encodings: NonNullable<Logits['encodings']>, rows: number): string | null {
  const wrong = encodings.findIndex(({ shape }) => shape[0] !== rows);
  return wrong < 0
    ? null
    : `logits.encodings[${wrong}].shape[0]: expected ${rows}, got ${encodings[wrong]!.shape[0]}`;
}

function wrongLabel(labels: Uint16Array, classes: number): string | null {
  const row = labels.findIndex((label) => label >= classes);
  return row < 0 ? null : `logits.labels[${row}]: expected a class below ${classes}, got ${labels[row]}`;
}

/** Students teach each other where the run has no teachers. */
export function teachesIn(run: Run, { role }: Member): boolean {
  return role === 'teacher' || !run.options.places.some((place) => place.role === 'teacher');
}

function payloadOf({ logits, encodings = [], labels }: Logits): Payload {
  return {
    logits: logits ? getCodec(logits.codec).decode(logits.data, ...logits.shape) : null,
    // Passed on as they are; they outlive the frame that they are views of.
    encodings: encodings.map((encoding) => ({ ...encoding, data: encoding.data.slice() })),
    labels: labels ? decodeLabels(labels) : null,
  };
}

/** A piece of a student's weights goes to the others as it is. */
export function receiveCheckpoint(
  run: Run,
  member: Member,
  message: MessageOf<PeerMessage, 'checkpoint'>,
): RunEffect[] {
  const { type, ...piece } = message;
  if (member.state !== 'training') return malformed(run, member.name, 'checkpoint: expected after start');
  if (run.options.settings.exchange.mode !== 'checkpoint') {
    return malformed(run, member.name, 'checkpoint: expected none, as this run exchanges predictions');
  }
  if (piece.data.byteLength > CHECKPOINT_CHUNK_BYTES || piece.offset + piece.data.byteLength > piece.size) {
    const reason = `checkpoint.data: expected at most ${CHECKPOINT_CHUNK_BYTES} bytes within ${piece.size}`;
    return malformed(run, member.name, reason);
  }
  const data = piece.data.slice();
  return byName(run.members).flatMap(({ name, role, state, traffic }): RunEffect[] => {
    const connection = run.connections.get(name);
    if (connection === undefined || name === member.name || role === 'teacher' || state !== 'training')
      return [];
    traffic.pieces.sent += 1;
    return [{ type: 'send', connection, message: { type, peer: member.name, ...piece, data } }];
  });
}

/** Turns what the rounds decided into messages. What students are answered is in the journal before they hear it. */
export function perform(run: Run, effects: readonly RoundEffect[]): RunEffect[] {
  return effects.flatMap((effect) => messagesOf(run, effect));
}

function messagesOf(run: Run, effect: RoundEffect): RunEffect[] {
  switch (effect.type) {
    case 'commit':
      return commit(run, effect);
    case 'noTarget': {
      const { peer, used, ...message } = effect;
      const member = run.members.get(peer)!;
      if (!used) member.traffic.contributions.unused[effect.reason] += 1;
      // A teacher misses no target; what of it was refused is an event all the same.
      if (member.role === 'student') run.missed[effect.reason] += 1;
      return [
        missed(peer, effect.round, effect.reason, effect.detail),
        ...answer(run, effect.round, [[peer, message]], new Set([peer])),
      ];
    }
    case 'advance': {
      const { peer, unused, ...message } = effect;
      if (unused) run.members.get(peer)!.traffic.contributions.unused[unused] += 1;
      return sendTo(run, peer, message);
    }
    case 'repeated':
      run.members.get(effect.peer)!.traffic.contributions.unused.repeated += 1;
      return [];
  }
}

/** Looks at who said what, and makes the targets of what the others said. */
function commit(run: Run, effect: RoundEffect & { type: 'commit' }): RunEffect[] {
  const { data, exchange } = run.options.settings;
  const { batch, round, teachers } = effect;
  const contributions = effect.contributions.filter(([peer]) => teachers.has(peer));
  const verdicts = inspect(run.suspects, { batch, rows: data.batchSize, contributions });
  const outcome = withoutSuspects(run.suspects, effect, exchange.quorum);
  countUse(run, effect, outcome);
  const effects = outcome.flatMap((each) => {
    if (each.type !== 'commit') return messagesOf(run, each);
    if (each.learners.size > 0) run.committed += 1;
    return answer(run, round, targetMessages(run, each), each.learners);
  });
  return [...eventsOf(verdicts, round), ...effects];
}

/** Counts the contributions of a round: as committed, or as what nobody learned from, with the reason. */
function countUse(run: Run, effect: RoundEffect & { type: 'commit' }, outcome: readonly RoundEffect[]): void {
  const taught = outcome.some(({ type }) => type === 'commit');
  const missed = new Map(
    outcome.flatMap((each) => (each.type === 'noTarget' ? [[each.peer, each.reason]] : [])),
  );
  for (const [peer] of effect.contributions) {
    const { contributions } = run.members.get(peer)!.traffic;
    if (quarantineOf(run.suspects, peer) !== null) contributions.unused.quarantined += 1;
    else if (taught) contributions.committed += 1;
    else contributions.unused[missed.get(peer) ?? 'quorum'] += 1;
  }
}

type Addressed = readonly [peer: string, message: Answer];

/** @param present those that hear it now; the others ask again when they are back */
function answer(
  run: Run,
  round: number,
  messages: readonly Addressed[],
  present: ReadonlySet<string>,
): RunEffect[] {
  const frames = messages.map(([peer, message]) => [peer, message, encodeMessage(message)] as const);
  const { committed, missed, rounds, journal } = run;
  journal.answered({
    ...{ round, lastClosed: rounds.lastClosed, committed, missed: { ...missed } },
    quarantined: faultsOf(run.suspects),
    answers: frames.map(([peer, , frame]) => [peer, frame]),
  });
  return frames.flatMap(([peer, message, frame]) =>
    present.has(peer) ? sendTo(run, peer, message, frame) : [],
  );
}

function targetMessages(run: Run, effect: RoundEffect & { type: 'commit' }): Addressed[] {
  const { data, exchange } = run.options.settings;
  const { round, batch, view, contributions, teachers, learners, absent } = effect;
  const codec = getCodec(exchange.codec);
  const targets = targetsOf(
    run.wants!,
    contributions,
    { teachers, learners: new Set([...learners, ...absent]), rows: data.batchSize },
    run.recent,
  );
  const write = (logits: Float32Array): { codec: string; shape: [number, number]; data: Uint8Array } => {
    const classes = logits.length / data.batchSize;
    const shape: [number, number] = [data.batchSize, classes];
    return { codec: exchange.codec, shape, data: codec.encode(logits, ...shape) };
  };
  const tensors = ({ logits, encodings }: Pick<Payload, 'logits' | 'encodings'>) => ({
    ...(logits && { logits: write(logits) }),
    ...(encodings.length > 0 && { encodings: [...encodings] }),
  });
  return targets.map(({ peer, apart, teachers: count, ...target }) => [
    peer,
    {
      ...{ type: 'target', round, batch, view, teachers: count },
      ...(apart ? { apart: apart.map(tensors) } : tensors(target)),
    },
  ]);
}

/** A target that its student did not read before the next one was made, and that gave way to it. */
export function replaceTarget(run: Run, peer: string, round: number): RunEffect[] {
  const { answers } = run.members.get(peer)!.traffic;
  answers.targets -= 1;
  answers.noTargets += 1;
  answers.replaced += 1;
  run.missed.late += 1;
  return [missed(peer, round, 'late', 'the next target was made before this one was read')];
}

/** A piece of weights for which a peer that reads slowly has no room. */
export function dropPiece(run: Run, peer: string): void {
  const { pieces } = run.members.get(peer)!.traffic;
  pieces.sent -= 1;
  pieces.dropped += 1;
}

function missed(peer: string, round: number, reason: MissReason, detail: string): RunEffect {
  return { type: 'event', record: { event: 'missed', peer, round, reason: `${reason}: ${detail}` } };
}

const COUNTED_AS = { target: 'targets', noTarget: 'noTargets', advance: 'advances' } as const;

/** The answer to a contribution. */
type Answer = CoordinatorMessage & { type: keyof typeof COUNTED_AS };

/** Sends an answer, and counts it. */
function sendTo(run: Run, peer: string, message: Answer, frame?: Uint8Array<ArrayBuffer>): RunEffect[] {
  const connection = run.connections.get(peer);
  run.members.get(peer)!.traffic.answers[
    connection === undefined ? 'undelivered' : COUNTED_AS[message.type]
  ] += 1;
  return connection === undefined ? [] : [{ type: 'send', connection, message, ...(frame && { frame }) }];
}

/** The end of a connection that broke the protocol. */
export function malformed(run: Run, peer: string, reason: string): RunEffect[] {
  return [
    { type: 'close', connection: run.connections.get(peer)!, code: CloseCode.malformed, reason },
    { type: 'event', record: { event: 'malformed', peer, reason } },
  ];
}
