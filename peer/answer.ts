import { getCodec, hasNonFinite } from '../src/codec/index.ts';
import type { CoordinatorMessage, MessageOf, PeerMessage } from '../src/protocol/messages.ts';
import { sizeFromShape } from '../src/sizeFromShape.ts';

type Target = MessageOf<CoordinatorMessage, 'target'>;

/** What a peer says about a batch, and the answer that fits it. */
export interface Question {
  readonly request: Omit<MessageOf<PeerMessage, 'logits'>, 'type'>;
  /** Of the target's logits. */
  readonly shape: readonly [batch: number, classes: number];
}

/** What a teacher's encoder made of one of its layers. */
export interface ReceivedEncoding {
  readonly layer: string;
  readonly encoder: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** What one teacher, or several as one, says about a batch. */
export interface Received {
  readonly logits: Float32Array | null;
  readonly encodings: readonly ReceivedEncoding[];
}

/** What a student gets for its logits. */
export type Answer =
  | {
      readonly kind: 'target';
      /** `[batch, classes]`, as asked for; `null` when the method needs none. */
      readonly logits: Float32Array | null;
      readonly encodings: readonly ReceivedEncoding[];
      /** Instead of both, what each teacher says. */
      readonly apart: readonly Received[] | null;
      readonly teachers: number;
    }
  | {
      readonly kind: 'none';
      readonly reason: string;
      /** The round to go on with, when this peer fell behind the others. */
      readonly nextRound?: number;
      /** The work is to end here: the step is not to be taken. */
      readonly ended?: true;
    };

/** What a coordinator's answer to `question` comes to: a target for other samples, or one that is not finite, is none. */
export function answerOf(
  message: Target | MessageOf<CoordinatorMessage, 'noTarget' | 'advance'>,
  question: Question,
): Answer {
  if (message.type !== 'target') {
    const reason = message.type === 'noTarget' ? message.reason : 'advance';
    return {
      ...{ kind: 'none', reason },
      ...(message.nextRound !== undefined && { nextRound: message.nextRound }),
    };
  }
  if (!fits(message, question)) return { kind: 'none', reason: 'the target belongs to other samples' };
  const whole = received(message);
  const apart = message.apart?.map(received) ?? null;
  const all = [whole, ...(apart ?? [])].flatMap(({ logits, encodings }) => [
    ...(logits ? [logits] : []),
    ...encodings.map(({ values }) => values),
  ]);
  if (all.some(hasNonFinite)) return { kind: 'none', reason: 'the target is not finite' };
  return { kind: 'target', ...whole, apart, teachers: message.teachers };
}

function fits(message: Target, { request, shape }: Question): boolean {
  return (
    message.view === request.view &&
    [message, ...(message.apart ?? [])].every(
      ({ logits }) => !logits || String(logits.shape) === String(shape),
    ) &&
    message.batch.every((byte, i) => byte === request.batch[i])
  );
}

function received({ logits, encodings = [] }: Pick<Target, 'logits' | 'encodings'>): Received {
  return {
    logits: logits ? decode(logits) : null,
    encodings: encodings.map(({ layer, encoder, ...tensor }) => ({
      ...{ layer, encoder, shape: tensor.shape },
      values: decode(tensor),
    })),
  };
}

function decode({
  codec,
  shape,
  data,
}: {
  codec: string;
  shape: readonly number[];
  data: Uint8Array;
}): Float32Array {
  return getCodec(codec).decode(data, 1, sizeFromShape(shape));
}
