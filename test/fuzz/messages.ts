import fc from 'fast-check';
import type { z } from 'zod';
import { codecs } from '../../src/codec/index.ts';
import { MAX_PREDICTIONS } from '../../src/protocol/limits.ts';
import { CoordinatorMessage, PeerMessage } from '../../src/protocol/messages.ts';
import { valuesOf } from './schemas.ts';

export type Direction = 'peer' | 'coordinator';

/** Messages of all types that a receiver accepts. */
export const peerMessages = fc.oneof(...PeerMessage.options.map(messagesOf)) as fc.Arbitrary<PeerMessage>;
export const coordinatorMessages = fc.oneof(
  ...CoordinatorMessage.options.map(messagesOf),
) as fc.Arbitrary<CoordinatorMessage>;

type Fields = Record<string, unknown>;

function messagesOf(schema: z.ZodType): fc.Arbitrary<unknown> {
  return valuesOf(schema).map((message) => consistent(message as Fields));
}

/** The same with sizes that fit each other, which no schema tells: of tensors, labels and predictions. */
function consistent(message: Fields): Fields {
  const fitted = fitTensors(message) as Fields;
  if (fitted.type === 'ready') {
    fitted.testSize = Math.min(Number(fitted.testSize), Math.floor(MAX_PREDICTIONS / Number(fitted.classes)));
  }
  if (fitted.type === 'predictions') {
    const [rows, classes] = fitted.shape as [number, number];
    const labels = resized(fitted.labels as Uint8Array, 2 * rows);
    // Little-endian uint16, each below the number of classes.
    for (let i = 0; i < labels.length; i += 2) {
      const label = (labels[i]! | (labels[i + 1]! << 8)) % classes;
      labels[i] = label & 0xff;
      labels[i + 1] = label >> 8;
    }
    fitted.labels = labels;
  }
  return fitted;
}

/** Gives every map with `codec`, `shape` and `data` a codec that there is, a small shape, and data of its size. */
function fitTensors(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(fitTensors);
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  const fields = Object.fromEntries(Object.entries(value).map(([key, each]) => [key, fitTensors(each)]));
  if (!(fields.data instanceof Uint8Array) || !Array.isArray(fields.shape)) return fields;
  const names = Object.keys(codecs);
  const codec = codecs[names[String(fields.codec).length % names.length]!]!;
  const shape = fields.shape.map((size) => 1 + (Number(size) % 5));
  const bytes = codec.bytes(
    1,
    shape.reduce((product, size) => product * size, 1),
  );
  return { ...fields, codec: codec.name, shape, data: resized(fields.data, bytes) };
}

/** `bytes` over and over, as many as `length`. */
function resized(bytes: Uint8Array, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => bytes[i % bytes.length] ?? 0);
}
