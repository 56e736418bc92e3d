import * as tf from '@tensorflow/tfjs';
import { getCodec } from '../src/codec/index.ts';
import { encode, getEncoder } from '../src/distill/encoders/index.ts';
import type { TrainedModules } from '../src/distill/encoders/types.ts';
import { encodingKey } from '../src/distill/objective.ts';
import type { Outputs } from '../src/distill/types.ts';
import type { MessageOf, PeerMessage, Wants } from '../src/protocol/messages.ts';

/** The tensors of a `logits` message. */
export type Contribution = Pick<MessageOf<PeerMessage, 'logits'>, 'logits' | 'encodings'>;

/** What a sender trained for its encodings, by `encodingKey`. */
export type Trained = ReadonlyMap<string, TrainedModules>;

const NOTHING_TRAINED: Trained = new Map();

/**
 * What a network's outputs for a batch are to those that learn from it: read from the device, and written as bytes.
 *
 * @param codec of all but signs
 * @param trained what the sender trained, where an encoder wants that
 */
export async function contributionOf(
  { logits, features }: Outputs,
  wants: Wants,
  codec: 'float16' | 'float32',
  trained: Trained = NOTHING_TRAINED,
): Promise<Contribution> {
  const encodings = wants.encodings.map((need) => {
    const tensor = tf.tidy(() => encode(need, features, trained.get(encodingKey(need))));
    return { ...need, tensor, codec: getEncoder(need.encoder).payload === 'bits' ? 'bits' : codec };
  });
  try {
    const own = wants.logits ? await logits.data<'float32'>() : null;
    const others = await Promise.all(encodings.map(({ tensor }) => tensor.data<'float32'>()));
    const [rows, classes] = logits.shape;
    return {
      ...(own && {
        logits: {
          codec,
          shape: [rows, classes] as [number, number],
          data: getCodec(codec).encode(own, rows, classes),
        },
      }),
      ...(encodings.length > 0 && {
        encodings: encodings.map(({ tensor, codec: its, ...need }, i) => ({
          ...need,
          codec: its,
          shape: [...tensor.shape],
          data: getCodec(its).encode(others[i]!, 1, tensor.size),
        })),
      }),
    };
  } finally {
    for (const { tensor } of encodings) tensor.dispose();
  }
}
