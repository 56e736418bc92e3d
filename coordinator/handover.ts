import { WEIGHTS_PIECE_BYTES } from '../src/protocol/limits.ts';
import {
  type CoordinatorMessage,
  type MessageOf,
  type PeerMessage,
  TEXT_LENGTH,
} from '../src/protocol/messages.ts';
import { malformed } from './exchange.ts';
import type { Handover } from './handoverState.ts';
import { accuracyOf, lenderFor } from './lenders.ts';
import type { Member } from './members.ts';
import { STALLED_LEASES, workPatienceMs } from './patience.ts';
import { type Run, type RunEffect, SLOW_START_LEASES } from './runState.ts';
import { quarantineOf } from './suspects/suspects.ts';
import { createTokenBucket, takeToken } from './tokenBucket.ts';

/** Requests of one name at once; one more each lease. Others are to compute and send no more than that for it. */
const REQUESTS_AT_ONCE = 3;

/** What follows, and who may start now, with weights or without. */
export interface Handed {
  readonly effects: readonly RunEffect[];
  readonly settled: readonly Member[];
}

const NOTHING: Handed = { effects: [], settled: [] };

/** A student that is ready wants to begin with the weights of the best one. */
export function wantWeights(run: Run, newcomer: Member, nowMs: number): Handed {
  const { handovers, options } = run;
  const rate = { burst: REQUESTS_AT_ONCE, perSecond: 1_000 / options.settings.exchange.lease };
  const known = handovers.allowances.get(newcomer.name);
  const allowance = known ?? createTokenBucket(rate, nowMs);
  handovers.allowances.set(newcomer.name, allowance);
  if (takeToken(allowance, rate, nowMs)) return findLender(run, newcomer, nowMs, nowMs, new Map());
  return startFresh(newcomer, `it has asked ${REQUESTS_AT_ONCE} times within a lease`);
}

/** A piece that was asked for goes to the one that wants it, and to nobody else. */
export function passOn(
  run: Run,
  lender: Member,
  message: MessageOf<PeerMessage, 'checkpoint'>,
  request: number,
  nowMs: number,
): Handed {
  const { step, offset, size } = message;
  const handover = awaitedOf(run, request, lender, 'piece');
  if (handover === 'late') return NOTHING;
  const wrong = handover ? misfitOf(handover, message) : `request: expected one that is open, got ${request}`;
  if (!handover || wrong !== null) {
    return { effects: malformed(run, lender.name, `checkpoint.${wrong}`), settled: [] };
  }
  handover.whole = { step, size };
  handover.bytes = offset + message.data.byteLength;
  handover.awaits = 'receipt';
  handover.askedAtMs = nowMs;
  run.members.get(handover.newcomer)!.traffic.pieces.sent += 1;
  // The bytes are a view of the frame; they outlive it here.
  const piece = { ...message, peer: lender.name, data: message.data.slice() };
  return {
    effects: [{ type: 'send', connection: handover.newcomerConnection, message: piece }],
    settled: [],
  };
}

/** The newcomer has a piece: the next one is asked for, at its pace, and after the last one it starts. */
export function receipt(
  run: Run,
  newcomer: Member,
  { request, bytes, problem }: MessageOf<PeerMessage, 'received'>,
  nowMs: number,
): Handed {
  const handover = awaitedOf(run, request, newcomer, 'receipt');
  if (handover === 'late') return NOTHING;
  if (!handover || bytes !== handover.bytes) {
    const reason = handover
      ? `received.bytes: expected ${handover.bytes}, got ${bytes}`
      : 'received: expected once, after a piece of weights that came before the start';
    return { effects: malformed(run, newcomer.name, reason), settled: [] };
  }
  handover.awaits = 'nothing';
  if (problem !== undefined) return replaceLender(run, handover, `has weights of no use: ${problem}`, nowMs);
  const { step, size } = handover.whole!;
  if (bytes < size) return { effects: [ask(handover, bytes, nowMs)], settled: [] };
  run.handovers.open.delete(newcomer.name);
  const { lender, accuracy } = handover;
  newcomer.startedFrom = { peer: lender, step, accuracy };
  const reason = `the weights of ${lender} at step ${step}, whose last accuracy was ${(100 * accuracy).toFixed(1)} %`;
  return {
    effects: [{ type: 'event', record: { event: 'startedFrom', peer: newcomer.name, reason } }],
    settled: [newcomer],
  };
}

/** Ends what cannot go on: somebody has left or is silent, or it has taken too long. */
export function reviewHandovers(run: Run, nowMs: number): Handed {
  const { handovers, connections, members } = run;
  for (const [request, peer] of handovers.late) if (!connections.has(peer)) handovers.late.delete(request);
  return both(
    [...handovers.open.values()].map((handover) => {
      const newcomer = members.get(handover.newcomer);
      const here = connections.get(handover.newcomer) === handover.newcomerConnection;
      if (!newcomer || !here || newcomer.state !== 'ready')
        return { effects: end(run, handover), settled: [] };
      const tooLong = whyTooLong(run, handover, nowMs);
      if (tooLong !== null) {
        const effects = end(run, handover);
        return both([{ effects, settled: [] }, startFresh(newcomer, tooLong)]);
      }
      const gone = whyGone(run, handover, nowMs);
      return gone === null ? NOTHING : replaceLender(run, handover, gone, nowMs);
    }),
  );
}

/** A piece was left out, as its receiver reads too slowly. */
export function dropHandedPiece(run: Run, peer: string): void {
  const handover = run.handovers.open.get(peer);
  if (handover) handover.dropped = true;
}

/** A piece came for which the coordinator has no memory. */
export function refusePiece(run: Run, lender: Member, request: number, reason: string): Handed {
  const handover = awaitedOf(run, request, lender, 'piece');
  if (handover === 'late' || handover === null) return NOTHING;
  handover.awaits = 'nothing';
  const effects = end(run, handover);
  return both([{ effects, settled: [] }, startFresh(run.members.get(handover.newcomer)!, reason)]);
}

/** When a handover ends by itself, in milliseconds. */
export function endsAtMs({ options }: Run, { sinceMs }: Handover): number {
  return sinceMs + SLOW_START_LEASES * options.settings.exchange.lease;
}

function findLender(
  run: Run,
  newcomer: Member,
  nowMs: number,
  sinceMs: number,
  failed: ReadonlyMap<string, string>,
): Handed {
  const { connections, handovers, members, suspects } = run;
  const found = lenderFor(
    members,
    newcomer,
    ({ name }) => failed.get(name) ?? (quarantineOf(suspects, name) === null ? null : 'teaches nobody'),
  );
  if ('reason' in found) {
    const before = [...failed].map(([name, why]) => `${name} ${why}`);
    return startFresh(newcomer, before.length > 0 ? before.join(', ') : found.reason);
  }
  const { lender } = found;
  const handover: Handover = {
    request: handovers.next++,
    newcomer: newcomer.name,
    newcomerConnection: connections.get(newcomer.name)!,
    lender: lender.name,
    lenderConnection: connections.get(lender.name)!,
    accuracy: accuracyOf(lender),
    ...{ sinceMs, whole: null, bytes: 0, awaits: 'piece', askedAtMs: nowMs, dropped: false, failed },
  };
  handovers.open.set(newcomer.name, handover);
  return { effects: [ask(handover, 0, nowMs)], settled: [] };
}

function ask(handover: Handover, offset: number, nowMs: number): RunEffect {
  handover.awaits = 'piece';
  handover.askedAtMs = nowMs;
  return toLender(handover, { offset });
}

function toLender(
  { request, newcomer, lenderConnection }: Handover,
  more: { readonly offset?: number },
): RunEffect {
  const message: CoordinatorMessage = { type: 'sendWeights', request, peer: newcomer, ...more };
  return { type: 'send', connection: lenderConnection, message };
}

/** The open handover that waits for this from `sender`; `late`: one that has ended since it was asked for it. */
function awaitedOf(
  { handovers }: Run,
  request: number,
  { name }: Member,
  what: Handover['awaits'],
): Handover | 'late' | null {
  if (handovers.late.get(request) === name) {
    handovers.late.delete(request);
    return 'late';
  }
  const handover = [...handovers.open.values()].find((each) => each.request === request);
  const isTheirs = (what === 'piece' ? handover?.lender : handover?.newcomer) === name;
  return handover && isTheirs && handover.awaits === what ? handover : null;
}

/** How a piece differs from the one that was asked for; `null` if it does not. */
function misfitOf(
  { whole, bytes }: Handover,
  { step, offset, size, data }: MessageOf<PeerMessage, 'checkpoint'>,
): string | null {
  if (offset !== bytes) return `offset: expected ${bytes}, got ${offset}`;
  if (whole && step !== whole.step) return `step: expected ${whole.step}, got ${step}`;
  if (whole && size !== whole.size) return `size: expected ${whole.size}, got ${size}`;
  const most = Math.min(WEIGHTS_PIECE_BYTES, size - offset);
  // All of them full: pieces of a byte each would never come to an end.
  return data.byteLength === most ? null : `data: expected ${most} bytes, got ${data.byteLength}`;
}

function whyTooLong(run: Run, handover: Handover, nowMs: number): string | null {
  const { lender, sinceMs, awaits, askedAtMs, dropped } = handover;
  const { lease } = run.options.settings.exchange;
  const seconds = Math.round((nowMs - sinceMs) / 1000);
  if (nowMs >= endsAtMs(run, handover)) return `the weights of ${lender} were not here after ${seconds} s`;
  if (dropped) return 'it reads too slowly: a piece of the weights was left out';
  if (awaits === 'receipt' && nowMs - askedAtMs >= STALLED_LEASES * lease)
    return 'it did not say that a piece of the weights has arrived';
  return null;
}

function whyGone(
  run: Run,
  { lender, lenderConnection, awaits, askedAtMs }: Handover,
  nowMs: number,
): string | null {
  const member = run.members.get(lender)!;
  if (run.connections.get(lender) !== lenderConnection || member.state !== 'training') return 'has left';
  if (awaits === 'receipt' || nowMs - askedAtMs < workPatienceMs(run, member)) return null;
  return 'did not send its weights';
}

/** Goes on with the next best student, from the beginning. */
function replaceLender(run: Run, handover: Handover, why: string, nowMs: number): Handed {
  const failed = new Map(handover.failed).set(handover.lender, why);
  const effects = end(run, handover);
  const next = findLender(run, run.members.get(handover.newcomer)!, nowMs, handover.sinceMs, failed);
  return both([{ effects, settled: [] }, next]);
}

/** Nobody waits for a handover any more: its lender stops, and what is still under way is not taken for something else. */
function end(run: Run, handover: Handover): RunEffect[] {
  const { request, newcomer, newcomerConnection, lender, lenderConnection, awaits } = handover;
  const { handovers, connections } = run;
  handovers.open.delete(newcomer);
  const lends = connections.get(lender) === lenderConnection;
  if (awaits === 'piece' && lends) handovers.late.set(request, lender);
  if (awaits === 'receipt' && connections.get(newcomer) === newcomerConnection)
    handovers.late.set(request, newcomer);
  return lends ? [toLender(handover, {})] : [];
}

/** The newcomer begins with its own weights, for this reason. */
export function startFresh(newcomer: Member, why: string): Handed {
  const reason = why.slice(0, TEXT_LENGTH);
  newcomer.startedFrom = { peer: null, reason };
  return {
    effects: [{ type: 'event', record: { event: 'startedFresh', peer: newcomer.name, reason } }],
    settled: [newcomer],
  };
}

function both(parts: readonly Handed[]): Handed {
  return {
    effects: parts.flatMap(({ effects }) => effects),
    settled: parts.flatMap(({ settled }) => settled),
  };
}
