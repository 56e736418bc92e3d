import { bits } from '../codec/bits.ts';
import type { TensorCodec } from '../codec/index.ts';
import { sizeFromShape } from '../sizeFromShape.ts';
import { encodingShape, getEncoder } from './encoders/index.ts';
import type { FeatureShapes, Needs } from './types.ts';

export interface PayloadSetup {
  /** Of the sender's layers, without the batch. */
  readonly shapes: FeatureShapes;
  readonly classes: number;
  /** Samples in the batch. */
  readonly batch: number;
  /** Of all but signs, which are one bit each. */
  readonly codec: TensorCodec;
}

/**
 * The bytes that a teacher sends for one batch, without framing. Sample ids are not among them: both ends know them from
 * the seed and the step.
 */
export function payloadBytes(needs: Needs, { shapes, classes, batch, codec }: PayloadSetup): number {
  const logits = needs.logits ? codec.bytes(batch, classes) : 0;
  const encodings = needs.features.map((need) => {
    const size = sizeFromShape(encodingShape(need, shapes, batch));
    return (getEncoder(need.encoder).payload === 'bits' ? bits : codec).bytes(1, size);
  });
  return encodings.reduce((sum, bytes) => sum + bytes, logits);
}
