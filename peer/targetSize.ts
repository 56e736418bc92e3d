import { getCodec } from '../src/codec/index.ts';
import type { RunSettings } from '../src/config/schema.ts';
import { encodingShape, getEncoder } from '../src/distill/encoders/index.ts';
import { payloadBytes } from '../src/distill/payload.ts';
import type { FeatureShapes, Needs } from '../src/distill/types.ts';
import { messageOf, UsageError } from '../src/errors.ts';
import { BATCH_DIGEST_BYTES } from '../src/protocol/batchDigest.ts';
import { checkFrame } from '../src/protocol/checkFrame.ts';
import { MAX_FRAME_BYTES } from '../src/protocol/limits.ts';
import type { CoordinatorMessage, MessageOf, Wants } from '../src/protocol/messages.ts';
import { encodeMessage } from '../src/protocol/wire.ts';
import { byteSize } from '../src/results/format.ts';

type Target = MessageOf<CoordinatorMessage, 'target'>;

/**
 * The target of a batch has to fit into one message: with the ensemble `apart`, it holds what each of the teachers says.
 *
 * @param teachers the layers of each
 * @throws {UsageError} with the size
 */
export function expectTargetFits(
  wants: Wants,
  teachers: readonly { readonly layers: FeatureShapes }[],
  classes: number,
  { data: { batchSize: batch }, exchange }: Pick<RunSettings, 'data' | 'exchange'>,
): void {
  const saying = wants.ensemble === 'apart' ? teachers : teachers.slice(0, 1);
  const needs: Needs = { logits: wants.logits, features: wants.encodings as Needs['features'] };
  const codec = getCodec(exchange.codec);
  const payload = saying
    .map(({ layers }) => payloadBytes(needs, { shapes: layers, classes, batch, codec }))
    .reduce((sum, bytes) => sum + bytes, 0);
  const frame = encodeMessage(emptyTarget(wants, saying, [batch, classes], exchange.codec));
  const bytes = payload + frame.byteLength;
  const refuse = (why: string): never => {
    throw new UsageError(
      `What ${saying.length === 1 ? 'a teacher says' : `${saying.length} teachers say`} about a batch takes ` +
        `${byteSize(bytes)}, and ${why}: give the run ${saying.length === 1 ? '' : 'fewer teachers, '}a smaller data.batchSize or a method that needs less.`,
    );
  };
  if (bytes > MAX_FRAME_BYTES) refuse(`a message holds ${byteSize(MAX_FRAME_BYTES)}`);
  try {
    checkFrame(frame);
  } catch (error) {
    refuse(`a message of that many parts is refused (${messageOf(error)})`);
  }
}

/** A target as the coordinator makes it, without the bytes of its tensors. */
function emptyTarget(
  wants: Wants,
  saying: readonly { readonly layers: FeatureShapes }[],
  shape: [rows: number, classes: number],
  codec: string,
): Target {
  const data = new Uint8Array(0);
  const parts = saying.map(({ layers }) => ({
    ...(wants.logits && { logits: { codec, shape, data } }),
    ...(wants.encodings.length > 0 && {
      encodings: wants.encodings.map((need) => ({
        ...need,
        codec: getEncoder(need.encoder).payload === 'bits' ? 'bits' : codec,
        shape: [...encodingShape(need, layers, shape[0])],
        data,
      })),
    }),
  }));
  return {
    ...{ type: 'target', round: 2 ** 31 - 1, batch: new Uint8Array(BATCH_DIGEST_BYTES), view: 'shared' },
    ...{ teachers: saying.length, ...(wants.ensemble === 'apart' ? { apart: parts } : parts[0]) },
  };
}
