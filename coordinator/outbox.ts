import type { CoordinatorMessage } from '../src/protocol/messages.ts';
import { encodeMessage } from '../src/protocol/wire.ts';

/** Frames that may be on their way to a peer at a time; what comes after them waits here. */
export const MAX_UNDER_WAY = 2;
/** Bytes that may wait for a peer that reads slowly, those under way among them; then it is cut off. */
export const MAX_QUEUED_BYTES = 64 * 2 ** 20;

/** What waits for a peer to read what was sent before, in order. */
export interface Outbox {
  readonly waiting: { readonly message: CoordinatorMessage; readonly frame: Uint8Array<ArrayBuffer> }[];
  /** Of the frames that wait. */
  bytes: number;
}

/** What became of a message: it waits, perhaps in the place of the target of an earlier round, or there is no room. */
export type Queued =
  | { readonly kind: 'waits'; readonly replacedRound: number | null }
  /** A piece of weights that was left out; a receiver sees the gap. */
  | { readonly kind: 'dropped' }
  | { readonly kind: 'overflow' };

export function createOutbox(): Outbox {
  return { waiting: [], bytes: 0 };
}

/**
 * Lets a message wait. A peer that does not read gets the newest target alone: that of an earlier round gives way, and
 * what is left of it is a `noTarget`, so that no answer is missing. Pieces of weights are left out where there is no room.
 *
 * @param frame the message as it is sent
 * @param underWayBytes of frames that were sent but not read yet
 */
export function enqueue(
  outbox: Outbox,
  message: CoordinatorMessage,
  frame: Uint8Array<ArrayBuffer>,
  underWayBytes: number,
): Queued {
  const replacedRound = message.type === 'target' ? giveWay(outbox, message.round) : null;
  if (underWayBytes + outbox.bytes + frame.byteLength > MAX_QUEUED_BYTES)
    return { kind: message.type === 'checkpoint' ? 'dropped' : 'overflow' };
  outbox.waiting.push({ message, frame });
  outbox.bytes += frame.byteLength;
  return { kind: 'waits', replacedRound };
}

/** The frame that is to be sent next; `null` when nothing waits. */
export function dequeue(outbox: Outbox): Uint8Array<ArrayBuffer> | null {
  const next = outbox.waiting.shift();
  if (!next) return null;
  outbox.bytes -= next.frame.byteLength;
  return next.frame;
}

/** Puts a `noTarget` in the place of a target that waits. @returns the target's round; `null` when none waits */
function giveWay(outbox: Outbox, newRound: number): number | null {
  for (const [i, { message, frame }] of outbox.waiting.entries()) {
    if (message.type !== 'target') continue;
    const { round } = message;
    const detail = `this peer did not read the target of round ${round} before that of round ${newRound} was made`;
    const answer: CoordinatorMessage = { type: 'noTarget', round, reason: 'late', detail };
    const short = encodeMessage(answer);
    outbox.waiting[i] = { message: answer, frame: short };
    outbox.bytes += short.byteLength - frame.byteLength;
    return round;
  }
  return null;
}
