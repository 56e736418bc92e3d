import { messageOf } from '../src/errors.ts';
import type { Logger } from '../src/logger.ts';
import { CloseCode } from '../src/protocol/closeCodes.ts';
import type { PeerMessage } from '../src/protocol/messages.ts';
import type { Recorder } from '../src/results/recorder.ts';
import { type ConnectionCounts, countEnd, createStrangerLimit } from './admission.ts';
import type { Connection, ConnectionEvents } from './connections.ts';
import { dropPiece, replaceTarget } from './exchange.ts';
import { frameLimitOf, receiveFrame, refuseFrame } from './frames.ts';
import { dropHandedPiece } from './handover.ts';
import type { Member } from './members.ts';
import { disconnected } from './run.ts';
import type { Run, RunEffect } from './runState.ts';

export interface HandlersOptions {
  readonly run: Run;
  readonly now: () => number;
  readonly recorder: Recorder;
  readonly logger: Logger;
  readonly counts: ConnectionCounts;
  readonly perform: (effects: readonly RunEffect[]) => void;
  /** Whether a message of that many bytes may be kept. */
  readonly hasRoomFor: (bytes: number) => boolean;
  /** What follows from the first messages of a connection. */
  readonly introduce: (from: Connection, message: PeerMessage) => RunEffect[];
  readonly addressOf: (connection: Connection) => string | undefined;
  /** A connection has ended. */
  readonly gone: (connection: Connection) => void;
}

/** Codes from here on say why this end ended a connection; those below, that the other end or the network did. */
const FIRST_REASON = 1007;

/** Turns what happens on connections into what happens in the run, and counts and records it. */
export function createHandlers(options: HandlersOptions): ConnectionEvents {
  const { run, now, recorder, logger, counts, perform } = options;
  const mayTellOfStrangers = createStrangerLimit(now);
  /** Connections of which a line says already why they end. */
  const told = new WeakSet<Connection>();
  const memberOf = ({ peer }: Connection): Member | undefined => run.members.get(peer ?? '');

  /** One line in the events and in the log. Of strangers not all are told: they may be many. */
  const tell = (event: 'malformed' | 'refused', from: Connection, reason: string, code: number): void => {
    if (from.peer === null && !mayTellOfStrangers()) return;
    told.add(from);
    const { peer } = from;
    const its = { ...(peer !== null && { peer }), code, reason };
    recorder.event({ event, ...its });
    logger.warn({ ...its, ...(peer === null && { address: options.addressOf(from) }) }, event);
  };

  return {
    frameLimit: ({ peer }) => frameLimitOf(run, peer),
    message(from, message, bytes) {
      // Counted before its effects: the last message of a run is in the summary that it brings about.
      const known = memberOf(from);
      if (known) known.bytesUp += bytes;
      const large = message.type === 'logits' || message.type === 'checkpoint';
      const effects = receiveFrame(run, from, message, now(), {
        room: !large || options.hasRoomFor(bytes),
        introduce: () => options.introduce(from, message),
      });
      if (effects.some((effect) => effect.type === 'event' && effect.record.event === 'refused'))
        told.add(from);
      perform(effects);
      const joined = memberOf(from);
      if (!known && joined) joined.bytesUp += bytes;
    },
    refused(from, refusal, reason) {
      refuseFrame(run, from.peer, refusal);
      if (refusal !== 'afterClose') tell('malformed', from, reason, CloseCode[refusal]);
    },
    failed(from, error) {
      const its = { ...(from.peer !== null && { peer: from.peer }) };
      recorder.event({ event: 'failed', ...its, reason: messageOf(error) });
      logger.error({ err: error, ...its }, 'failed');
    },
    sent(to, bytes) {
      const member = memberOf(to);
      if (member) member.bytesDown += bytes;
    },
    skipped({ peer }, what) {
      if (peer === null) return;
      if (what === 'piece') {
        dropPiece(run, peer);
        dropHandedPiece(run, peer);
      } else perform(replaceTarget(run, peer, what.round));
    },
    closed(from, code, reason) {
      options.gone(from);
      countEnd(from.peer === null ? counts.refused : counts.closed, code);
      if (from.peer !== null) perform(disconnected(run, from.peer, from.id, reason, now(), code));
      else if (code >= FIRST_REASON && !told.has(from)) tell('refused', from, reason, code);
    },
  };
}
