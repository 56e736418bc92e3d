import { setTimeout as delay } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { type CoordinatorMessage, type PeerMessage, SUBPROTOCOL } from '../../src/protocol/messages.ts';
import { decodeCoordinatorMessage, encodeMessage } from '../../src/protocol/wire.ts';
import { helloOf, logitsOf, readyWith } from '../coordinator/support.ts';

/** Two peers that do what the protocol says. */
export interface HonestPair {
  /** The round that they are at. */
  round(): number;
  /** Rounds in which one of them was taught by the other. */
  taught(): number;
  /** Fails when one of them was sent away, or got what it could not read. */
  expectWell(): void;
  leave(): void;
}

/** Time from an answer to the next question, in milliseconds: that of a training step. */
const STEP_MS = 5;

/** Of a peer that has learnt something: what differs from sample to sample, and from the other peer a little. */
function predictionsIn(round: number, peer: number): number[] {
  const margin = (round % 2 === 0 ? 1 : -1) * (1 + 0.5 * Math.sin(3 * round + peer));
  return [margin, -margin];
}

/** Lets both in; they begin as soon as the run does. */
export function startHonestPair(
  url: string,
  names: readonly [string, string],
  trainSize: number,
): HonestPair {
  let taught = 0;
  let left = false;
  let error: unknown = null;
  const rounds = [0, 0];
  const sockets = names.map((name, i) => {
    const socket = new WebSocket(url, [SUBPROTOCOL], { perMessageDeflate: false });
    const say = (message: PeerMessage): void => socket.send(encodeMessage(message));
    const receive = async (message: CoordinatorMessage): Promise<void> => {
      if (message.type === 'welcome') say(readyWith({ trainSize }));
      const answered = message.type === 'target' || message.type === 'noTarget';
      if (answered && message.round === rounds[i]) {
        if (message.type === 'target') taught += 1;
        rounds[i] =
          message.type === 'noTarget' ? (message.nextRound ?? message.round + 1) : message.round + 1;
        await delay(STEP_MS);
      } else if (message.type !== 'start') return;
      if (!left) say(logitsOf(rounds[i]!, predictionsIn(rounds[i]!, i)));
    };
    socket.on('open', () => say(helloOf(name)));
    socket.on('message', (frame: Buffer) => {
      try {
        receive(decodeCoordinatorMessage(frame)).catch((cause) => {
          error ??= cause;
        });
      } catch (cause) {
        error ??= cause;
      }
    });
    socket.on('error', (cause) => {
      error ??= cause;
    });
    socket.on('close', (code, reason) => {
      if (!left) error ??= new Error(`${name} was sent away: ${code} ${reason}`);
    });
    return socket;
  });
  return {
    round: () => Math.max(...rounds),
    taught: () => taught,
    expectWell() {
      if (error !== null) throw error;
    },
    leave() {
      left = true;
      for (const socket of sockets) socket.terminate();
    },
  };
}
