import type { z } from 'zod';
import { codecs } from '../codec/index.ts';
import { sizeFromShape } from '../sizeFromShape.ts';
import { decodeLabels } from './classLabels.ts';
import { CloseCode } from './closeCodes.ts';
import { MAX_PREDICTIONS, MAX_TENSOR_VALUES } from './limits.ts';
import { CoordinatorMessage, type MessageOf, PeerMessage } from './messages.ts';
import { ProtocolError } from './protocolError.ts';

type Fields = Readonly<Record<string, unknown>>;

/** @throws {ProtocolError} that names the first wrong field, what was expected there and what came */
export function validatePeerMessage(fields: Fields): PeerMessage {
  const message = validate(PeerMessage, fields);
  if (message.type === 'predictions') {
    expectTensor('predictions', message);
    expectLabels(message);
  }
  if (message.type === 'logits') expectTensors('logits', message);
  if (message.type === 'ready') {
    const { testSize, classes } = message;
    const most = Math.floor(MAX_PREDICTIONS / classes);
    if (testSize > most) throw wrong('ready.testSize', `at most ${most} with ${classes} classes`, testSize);
  }
  return message;
}

/** @throws {ProtocolError} that names the first wrong field, what was expected there and what came */
export function validateCoordinatorMessage(fields: Fields): CoordinatorMessage {
  const message = validate(CoordinatorMessage, fields);
  if (message.type === 'welcome') expectFinite('welcome.experiment', message.experiment);
  if (message.type === 'target') {
    for (const [i, one] of (message.apart ?? []).entries()) expectTensors(`target.apart[${i}]`, one);
    expectTensors('target', message);
  }
  return message;
}

function validate<M>(schema: z.ZodType<M>, fields: Fields): M {
  const result = schema.safeParse(fields);
  if (result.success) return result.data;

  // Another version may differ in every field, so its number is the first to be looked at.
  const { issues } = result.error;
  const otherVersion = issues.find(({ path }) => path[0] === 'protocol');
  const { path, message: expected } = otherVersion ?? issues[0]!;
  const where = path[0] === 'type' ? 'type' : pathOf(fields.type, path);
  throw wrong(where, expected, valueAt(fields, path), otherVersion && CloseCode.protocolVersion);
}

/** Numbers that no schema of this protocol looks at. A frame bounds how many they are, and how deep they are nested. */
function expectFinite(path: string, value: unknown): void {
  if (typeof value === 'number' && !Number.isFinite(value)) throw wrong(path, 'a finite number', value);
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return;
  const entries = Array.isArray(value) ? value.entries() : Object.entries(value);
  for (const [key, each] of entries) expectFinite(pathOf(path, [key]), each);
}

interface WireTensor {
  readonly codec: string;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

interface Tensors {
  readonly logits?: WireTensor | undefined;
  readonly encodings?: readonly WireTensor[] | undefined;
}

function expectTensors(path: string, { logits, encodings = [] }: Tensors): void {
  if (logits) expectTensor(`${path}.logits`, logits);
  for (const [i, encoding] of encodings.entries()) expectTensor(`${path}.encodings[${i}]`, encoding);
}

function expectTensor(path: string, { codec: name, shape, data }: WireTensor): void {
  const codec = Object.hasOwn(codecs, name) ? codecs[name] : undefined;
  if (!codec) throw wrong(`${path}.codec`, `one of ${Object.keys(codecs).join(', ')}`, name);
  const values = sizeFromShape(shape);
  if (values > MAX_TENSOR_VALUES) throw wrong(`${path}.shape`, `at most ${MAX_TENSOR_VALUES} values`, values);
  const expected = codec.bytes(1, values);
  if (data.byteLength !== expected) {
    throw wrong(`${path}.data`, `${expected} bytes, as [${shape.join(', ')}] takes in ${name}`, data);
  }
}

function expectLabels({ type, labels, shape: [rows, classes] }: MessageOf<PeerMessage, 'predictions'>): void {
  if (labels.byteLength !== 2 * rows) throw wrong(`${type}.labels`, `${2 * rows} bytes, two a row`, labels);
  for (const [row, label] of decodeLabels(labels).entries()) {
    if (label >= classes) throw wrong(`${type}.labels[${row}]`, `a class below ${classes}`, label);
  }
}

function wrong(path: string, expected: string, got: unknown, closeCode?: CloseCode): ProtocolError {
  return new ProtocolError(`${path}: expected ${expected}, got ${brief(got)}`, closeCode);
}

/** `logits.shape[1]`; a key of the sender's own that is no plain word is quoted, and cut. */
function pathOf(type: unknown, path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`;
    return /^[\w.@+-]{1,64}$/.test(String(key)) ? `${text}.${String(key)}` : `${text}[${brief(String(key))}]`;
  }, String(type));
}

function valueAt(fields: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce((value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key], fields);
}

/** A value in a few words: what came may be large, and is not to be trusted in a log. */
function brief(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value instanceof Uint8Array) return `${value.byteLength} bytes`;
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'a map';
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  return String(value);
}
