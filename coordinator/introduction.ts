import { CloseCode } from '../src/protocol/closeCodes.ts';
import type { PeerMessage } from '../src/protocol/messages.ts';
import { type Attempts, countFailure, mayTry } from './attempts.ts';
import type { Connection } from './connections.ts';
import { createChallenges } from './identity.ts';
import { hello } from './run.ts';
import type { Run, RunEffect } from './runState.ts';

/** The first messages of each connection, up to the one that lets its peer in. */
export interface Introductions {
  /** @param address of the other end */
  receive(
    from: Pick<Connection, 'id' | 'token'>,
    address: string | undefined,
    message: PeerMessage,
    nowMs: number,
  ): RunEffect[];
  /** The connection is gone. */
  forget(connection: number): void;
}

/** A peer without a key says hello and is in; one with a key has to prove first that it has it. */
export function createIntroductions(run: Run): Introductions {
  const challenges = createChallenges(run.options.id);
  const wrong: Attempts = new Map();
  return {
    receive({ id, token }, address, message, nowMs) {
      const refuse = (code: CloseCode, reason: string): RunEffect[] => [
        { type: 'close', connection: id, code, reason },
      ];
      switch (message.type) {
        case 'hello':
          if (!message.identity) return hello(run, id, message, nowMs, token?.name);
          if (!mayTry(wrong, address, nowMs)) {
            return refuse(CloseCode.rateLimit, 'too many wrong proofs of identity');
          }
          return [{ type: 'send', connection: id, message: challenges.ask(id, message) }];
        case 'proof': {
          const proven = challenges.settle(id, message);
          if (proven) return hello(run, id, proven, nowMs, token?.name);
          countFailure(wrong, address, nowMs);
          const reason = 'expected a proof signed with the key that hello named';
          return [
            ...refuse(CloseCode.unauthorized, reason),
            { type: 'event', record: { event: 'refused', reason } },
          ];
        }
        default:
          return refuse(CloseCode.malformed, 'expected hello as the first message');
      }
    },
    forget: challenges.forget,
  };
}
