import { lookUp } from '../names.ts';
import { bits } from './bits.ts';
import { float16 } from './float16.ts';
import { float32 } from './float32.ts';
import type { TensorCodec } from './types.ts';

export { hasNonFinite } from './nonFinite.ts';
export type { TensorCodec } from './types.ts';

/** Every codec that the protocol knows, by name. */
export const codecs: Readonly<Record<string, TensorCodec>> = { float32, float16, bits };

/** @throws {UsageError} when there is no codec of that name */
export function getCodec(name: string): TensorCodec {
  return lookUp('codec', codecs, name);
}
