import { createHash } from 'node:crypto';
import * as tf from '@tensorflow/tfjs';
import { messageOf } from '../src/errors.ts';
import type { Model } from '../src/models/types.ts';
import { WEIGHTS_PIECE_BYTES } from '../src/protocol/limits.ts';
import type { CoordinatorMessage, MessageOf, PeerMessage } from '../src/protocol/messages.ts';
import { readVariables, weightsOf } from '../src/training/modelWeights.ts';
import { encodeSafetensors } from '../src/training/safetensors.ts';
import type { Checkpoint } from './checkpointInbox.ts';

type Asked = MessageOf<CoordinatorMessage, 'sendWeights'>;
type Piece = MessageOf<PeerMessage, 'checkpoint'>;

/** What the session asks of a student that lends its weights. */
export interface Lender {
  asked(message: Asked): void;
  /** The connection has ended, and with it all requests. */
  forget(): void;
}

/**
 * Sends a student's weights to others that are to begin with them, piece by piece as they ask, while it trains on. The
 * pieces are of the weights at one moment, which are kept until everybody has them who asked meanwhile.
 */
export interface Lending extends Lender {
  /** The student has done so many steps. Until it is told for the first time, whoever asks waits: a checkpoint may follow. */
  at(step: number): void;
}

/**
 * @param send takes a piece; dropped by it where there is no connection
 * @param notify told of each that begins to get weights, and when they cannot be read, in words
 */
export function createLending(
  model: Model,
  send: (piece: Piece) => void,
  notify: (what: string) => void,
): Lending {
  let step: number | null = null;
  let early: Asked[] = [];
  let connection = 0;
  const held = new Map<number, Promise<Checkpoint>>();

  const asked = ({ request, peer, offset }: Asked): void => {
    if (offset === undefined) {
      held.delete(request);
      return;
    }
    if (offset === 0) {
      // Two that come at once get the same.
      held.set(request, [...held.values()].at(-1) ?? snapshot(model, step!));
    }
    const weights = held.get(request);
    const mine = connection;
    void weights?.then(
      ({ step: its, bytes }) => {
        if (mine !== connection) return;
        if (offset === 0) notify(`sending ${peer} the weights of step ${its}, SHA-256 ${digestOf(bytes)}`);
        const data = bytes.subarray(offset, offset + WEIGHTS_PIECE_BYTES);
        if (offset + data.length >= bytes.length) held.delete(request);
        send({ type: 'checkpoint', request, step: its, offset, size: bytes.length, data });
      },
      (error: unknown) => {
        held.delete(request);
        notify(`could not read the weights for ${peer}: ${messageOf(error)}`);
      },
    );
  };

  return {
    asked(message) {
      if (step === null) early.push(message);
      else asked(message);
    },
    at(done) {
      step = done;
      for (const message of early.splice(0)) asked(message);
    },
    forget() {
      connection += 1;
      held.clear();
      early = [];
    },
  };
}

/**
 * The weights as they are now. What is read from the device while training goes on are copies, which cost nothing: an
 * update replaces a variable's tensor, and leaves the old one as it was.
 */
async function snapshot(model: Model, step: number): Promise<Checkpoint> {
  const copies = new Map([...weightsOf(model)].map(([name, variable]) => [name, tf.clone(variable)]));
  try {
    return { step, bytes: encodeSafetensors(await readVariables(copies), {}) };
  } finally {
    tf.dispose([...copies.values()]);
  }
}

/** SHA-256 (hex) of a model's weights as they are sent. */
export async function weightsDigest(model: Model): Promise<string> {
  return digestOf((await snapshot(model, 0)).bytes);
}

function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
