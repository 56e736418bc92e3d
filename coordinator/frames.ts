import { CloseCode } from '../src/protocol/closeCodes.ts';
import { frameLimit, HEADER_BYTES, MAX_FRAME_BYTES, PRE_AUTH_FRAME_BYTES } from '../src/protocol/limits.ts';
import type { PeerMessage, Wants } from '../src/protocol/messages.ts';
import { refuseLogits, teachesIn } from './exchange.ts';
import { refusePiece } from './handover.ts';
import { hello, receive } from './run.ts';
import type { Run, RunEffect } from './runState.ts';
import { hand } from './start.ts';
import { type FrameRefusal, frameCountsOf, refusalOf } from './traffic.ts';

/** Where a frame came from: a connection, and the peer that it belongs to once its `hello` was accepted. */
export interface Origin {
  readonly id: number;
  readonly peer: string | null;
}

export interface Receiving {
  /** Whether there is memory for what the message holds. */
  readonly room?: boolean;
  /** What follows from a message of a connection whose peer is not in. */
  readonly introduce?: typeof greet;
}

/**
 * Takes a valid message: what follows from it, and, in the counts, whether it was accepted.
 */
export function receiveFrame(
  run: Run,
  { id, peer }: Origin,
  message: PeerMessage,
  nowMs: number,
  { room = true, introduce = greet }: Receiving = {},
): RunEffect[] {
  const counts = frameCountsOf(run, peer);
  counts.received += 1;
  try {
    const effects =
      peer === null
        ? introduce(run, id, message, nowMs)
        : (room ? receive : overflow)(run, peer, message, nowMs);
    const end = effects.find((effect) => effect.type === 'close' && effect.connection === id);
    if (end?.type === 'close') counts.refused[refusalOf(end.code)] += 1;
    else counts.accepted += 1;
    return effects;
  } catch (error) {
    counts.refused.internal += 1;
    throw error;
  }
}

/** Counts a frame that came, but is no message that the run is to hear of. */
export function refuseFrame(run: Run, peer: string | null, refusal: FrameRefusal): void {
  const counts = frameCountsOf(run, peer);
  counts.received += 1;
  counts.refused[refusal] += 1;
}

/** How peers that have no key get in. */
function greet(run: Run, connection: number, message: PeerMessage, nowMs: number): RunEffect[] {
  if (message.type === 'hello') return hello(run, connection, message, nowMs);
  const reason = 'expected hello as the first message';
  return [{ type: 'close', connection, code: CloseCode.malformed, reason }];
}

/** A message that may be too much to keep. What is small, or a result that the run has room for, is taken all the same. */
function overflow(run: Run, peer: string, message: PeerMessage, nowMs: number): RunEffect[] {
  const member = run.members.get(peer)!;
  const detail = 'the coordinator holds as much as it may: see --max-memory';
  if (message.type === 'checkpoint' && message.request !== undefined) {
    // Whoever sends weights that it was asked for has done nothing wrong.
    member.workedAtMs = nowMs;
    return hand(run, refusePiece(run, member, message.request, detail), nowMs);
  }
  if (message.type === 'checkpoint') {
    return [
      { type: 'close', connection: run.connections.get(peer)!, code: CloseCode.rateLimit, reason: detail },
      { type: 'event', record: { event: 'refused', peer, reason: detail } },
    ];
  }
  if (message.type === 'logits' && member.state === 'training') {
    member.workedAtMs = nowMs;
    return refuseLogits(run, member, message, detail);
  }
  return receive(run, peer, message, nowMs);
}

/**
 * The most bytes of a frame: little from strangers, and from a peer what the run's tensors take as float32, and a quarter
 * more. Features take more than logits: whole maps of layers are megabytes.
 */
export function frameLimitOf(run: Run, peer: string | null): number {
  if (peer === null) return PRE_AUTH_FRAME_BYTES;
  const member = run.members.get(peer);
  const rows = run.options.settings.data.batchSize;
  const usual = frameLimit(rows, member?.ready?.classes ?? 1);
  if (!member || !run.wants || run.wants.encodings.length === 0 || !teachesIn(run, member)) return usual;
  const values = valuesOf(run.wants, member.ready?.layers ?? {}, rows);
  return Math.min(MAX_FRAME_BYTES, usual + HEADER_BYTES + Math.ceil(values * 4 * 1.25));
}

/** No less than the values that the encodings of a batch have, whatever the encoders: they compare rows, or reduce maps. */
function valuesOf(
  { encodings }: Wants,
  layers: Readonly<Record<string, readonly number[]>>,
  rows: number,
): number {
  return encodings
    .map(({ layer }) => {
      const shapes = layer.split('+').map((name) => layers[name] ?? []);
      const sizes = shapes.map((shape) => shape.reduce((product, size) => product * size, 1));
      const channels = shapes.reduce((product, shape) => product * (shape.at(-1) ?? 1), 1);
      return rows * Math.max(rows, channels, ...sizes);
    })
    .reduce((sum, values) => sum + values, 0);
}
