/**
 * The safetensors file format (https://github.com/huggingface/safetensors): the length of a JSON header as a 64-bit
 * little-endian integer, the header, then the tensors' bytes without gaps. Only what codistill's weights need: float32
 * and int32. Bytes are little-endian, as is every platform that TensorFlow.js runs on.
 */
import { DataError } from '../errors.ts';
import { sizeFromShape } from '../sizeFromShape.ts';

export type SafeTensor =
  | { readonly dtype: 'F32'; readonly shape: readonly number[]; readonly values: Float32Array }
  | { readonly dtype: 'I32'; readonly shape: readonly number[]; readonly values: Int32Array };

export interface SafetensorsContent {
  /** In the order of their bytes. */
  readonly tensors: Map<string, SafeTensor>;
  readonly metadata: Record<string, string>;
}

/** The key of the header under which the metadata stand; no tensor can have this name. */
const METADATA = '__metadata__';
const LENGTH_BYTES = 8;
const ELEMENT_BYTES = 4;
/** Of a header, as in the format's reference implementation: parsing takes many times the header's own memory. */
const MAX_HEADER_BYTES = 100_000_000;
/** Of something wrong that a message quotes. */
const SHOWN_CHARACTERS = 100;
const SHOWN_ITEMS = 16;

/**
 * Writes tensors as safetensors. The same tensors in the same order give the same bytes.
 *
 * @throws {DataError} when a tensor's values do not fill its shape, or its name is reserved
 */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, SafeTensor>,
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  // Joined by hand: an object would move names that look like integers to the front.
  const entries = [`${JSON.stringify(METADATA)}:${JSON.stringify(metadata)}`];
  let end = 0;
  for (const [name, { dtype, shape, values }] of tensors) {
    if (name === METADATA) throw new DataError(`A tensor cannot be named "${METADATA}".`);
    if (values.length !== sizeFromShape(shape)) {
      throw new DataError(
        `Tensor "${name}": expected ${sizeFromShape(shape)} values for shape [${shape}], got ${values.length}.`,
      );
    }
    const begin = end;
    end += values.byteLength;
    entries.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [begin, end] })}`);
  }
  const header = new TextEncoder().encode(`{${entries.join(',')}}`);
  const dataStart = LENGTH_BYTES + Math.ceil(header.length / 8) * 8;

  const bytes = new Uint8Array(dataStart + end).fill(0x20, LENGTH_BYTES, dataStart);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(dataStart - LENGTH_BYTES), true);
  bytes.set(header, LENGTH_BYTES);
  let offset = dataStart;
  for (const { values } of tensors.values()) {
    bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), offset);
    offset += values.byteLength;
  }
  return bytes;
}

/**
 * Reads safetensors. The values are copies, so that they outlive `bytes` and may be read from any offset.
 *
 * No memory is taken for what the file only says that it holds.
 *
 * @throws {DataError} on anything but a whole, well-formed file of float32 and int32 tensors
 */
export function decodeSafetensors(bytes: Uint8Array): SafetensorsContent {
  const dataStart = LENGTH_BYTES + headerLength(bytes);
  const header = parseHeader(bytes.subarray(LENGTH_BYTES, dataStart));
  const metadata = parseMetadata(header.get(METADATA) ?? {});
  header.delete(METADATA);
  const entries = [...header].map(([name, value]) => parseEntry(name, value));
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);

  const tensors = new Map<string, SafeTensor>();
  let expected = 0;
  for (const { name, dtype, shape, begin, end } of entries) {
    if (begin !== expected) {
      throw new DataError(
        `Tensor ${shown(name)}: expected its bytes to begin at ${expected}, where the one before ends, got ${begin}.`,
      );
    }
    if (dataStart + end > bytes.length) {
      throw new DataError(
        `Tensor ${shown(name)}: its bytes end at ${end}, but the file holds only ${bytes.length - dataStart} bytes of tensors.`,
      );
    }
    expected = end;
    // `new Uint8Array` copies; `slice` of a Node.js Buffer would not.
    const { buffer } = new Uint8Array(bytes.subarray(dataStart + begin, dataStart + end));
    tensors.set(
      name,
      dtype === 'F32'
        ? { dtype, shape, values: new Float32Array(buffer) }
        : { dtype, shape, values: new Int32Array(buffer) },
    );
  }
  if (dataStart + expected !== bytes.length) {
    throw new DataError(
      `Expected ${expected} bytes of tensors after the header, got ${bytes.length - dataStart}.`,
    );
  }
  return { tensors, metadata };
}

function headerLength(bytes: Uint8Array): number {
  if (bytes.length < LENGTH_BYTES) {
    throw new DataError(`Expected at least ${LENGTH_BYTES} bytes of safetensors, got ${bytes.length}.`);
  }
  const length = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0, true);
  const available = bytes.length - LENGTH_BYTES;
  if (length > BigInt(available)) {
    throw new DataError(`Expected a header of ${length} bytes, but only ${available} follow its length.`);
  }
  if (length > MAX_HEADER_BYTES) {
    throw new DataError(`Expected a header of at most ${MAX_HEADER_BYTES} bytes, got one of ${length}.`);
  }
  return Number(length);
}

/** The header's entries, in order; unlike JSON.parse alone, refuses a name that stands twice. */
function parseHeader(bytes: Uint8Array): Map<string, unknown> {
  let text: string;
  let parsed: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    parsed = JSON.parse(text);
  } catch (cause) {
    throw new DataError('Expected a safetensors header of JSON in UTF-8, got something else.', { cause });
  }
  if (!isRecord(parsed)) throw new DataError('Expected a JSON object as safetensors header.');
  const seen = new Set<string>();
  for (const name of topLevelKeys(text)) {
    if (seen.has(name))
      throw new DataError(`The name ${shown(name)} stands twice in the safetensors header.`);
    seen.add(name);
  }
  return new Map(Object.entries(parsed));
}

/**
 * The keys of a JSON object's outermost level, repeated ones too. `json` must be valid. By hand: a pattern would run out of
 * stack on a long string.
 */
function* topLevelKeys(json: string): Generator<string> {
  let depth = 0;
  let afterColon = false;
  for (let i = 0; i < json.length; i++) {
    const character = json[i]!;
    if (character === '"') {
      const start = i;
      for (i++; json[i] !== '"'; i++) if (json[i] === '\\') i++;
      if (depth === 1 && !afterColon) yield JSON.parse(json.slice(start, i + 1)) as string;
    } else if (character === '{' || character === '[') depth++;
    else if (character === '}' || character === ']') depth--;
    else if (character === ':' || character === ',') afterColon = character === ':';
  }
}

function parseMetadata(value: unknown): Record<string, string> {
  if (!isRecord(value)) throw new DataError(`Expected "${METADATA}" to be an object of strings.`);
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string') {
      throw new DataError(`Metadata ${shown(key)}: expected a string, got ${shown(text)}.`);
    }
  }
  return value as Record<string, string>;
}

interface Entry {
  readonly name: string;
  readonly dtype: SafeTensor['dtype'];
  readonly shape: readonly number[];
  /** Offsets from the end of the header, in bytes. */
  readonly begin: number;
  readonly end: number;
}

function parseEntry(name: string, value: unknown): Entry {
  const { dtype, shape, data_offsets: offsets } = isRecord(value) ? value : {};
  if (dtype !== 'F32' && dtype !== 'I32') {
    throw new DataError(`Tensor ${shown(name)}: expected dtype F32 or I32, got ${shown(dtype)}.`);
  }
  if (!isSizes(shape)) {
    throw new DataError(
      `Tensor ${shown(name)}: expected a shape of non-negative integers, got ${shown(shape)}.`,
    );
  }
  if (!isSizes(offsets) || offsets.length !== 2) {
    throw new DataError(`Tensor ${shown(name)}: expected data_offsets [begin, end], got ${shown(offsets)}.`);
  }
  const [begin, end] = offsets as [number, number];
  const size = sizeFromShape(shape) * ELEMENT_BYTES;
  if (end - begin !== size) {
    throw new DataError(
      `Tensor ${shown(name)}: expected ${size} bytes for ${dtype} ${shown(shape)}, but its offsets span ${end - begin}.`,
    );
  }
  return { name, dtype, shape, begin, end };
}

/** What stands in a file, for a message: short, however long or deep it is. */
function shown(value: unknown): string {
  if (Array.isArray(value)) {
    const items = value.slice(0, SHOWN_ITEMS).map((item) => (Array.isArray(item) ? '[...]' : shown(item)));
    return `[${items.join(',')}${value.length > SHOWN_ITEMS ? ',...' : ''}]`;
  }
  if (isRecord(value)) return 'an object';
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}...` : text;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}
