/**
 * A small assembler of WebAssembly: as much of the binary format (https://webassembly.github.io/spec/core/binary) as
 * the vectorised loops of this folder need. Instructions are lists of bytes, joined with `flat`.
 */
export type Code = readonly number[];

/** Concatenates instructions. */
export const code = (...parts: readonly Code[]): number[] => parts.flat();

/** An unsigned or signed integer in LEB128. */
function leb128(value: number, signed: boolean): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; ) {
    const low = rest & 0x7f;
    rest = signed ? rest >> 7 : rest >>> 7;
    const done = signed ? rest === (low & 0x40 ? -1 : 0) : rest === 0;
    bytes.push(done ? low : low | 0x80);
    if (done) return bytes;
  }
}

const unsigned = (value: number): number[] => leb128(value, false);
const vector = (items: readonly Code[]): number[] => code(unsigned(items.length), ...items);

export const get = (local: number): Code => [0x20, ...unsigned(local)];
export const set = (local: number): Code => [0x21, ...unsigned(local)];
export const integer = (value: number): Code => [0x41, ...leb128(value, true)];

/** `a` where the i32 `condition` is not 0, else `b`; both are computed. */
export const select = (a: Code, b: Code, condition: Code): Code => code(a, b, condition, [0x1b]);

/** `local += amount`, both i32. */
export const advance = (local: number, amount: Code): Code => code(get(local), amount, [0x6a], set(local));

/** Runs `body` as many times as the i32 `count` says, at least once, counting it down to 0. */
export const repeat = (count: number, body: Code): Code =>
  code([0x03, 0x40], body, get(count), integer(1), [0x6b], [0x22, ...unsigned(count)], [0x0d, 0], [0x0b]);

/** Four float32 at once; addresses are i32 on the stack, offsets in bytes. */
export const simd = {
  zero: [0xfd, 0x0c, ...new Array<number>(16).fill(0)] as Code,
  /** All bits set: what a comparison gives where it holds. */
  everywhere: [0xfd, 0x0c, ...new Array<number>(16).fill(0xff)] as Code,
  load: (address: number, offset = 0): Code => code(get(address), [0xfd, 0x00, 2], unsigned(offset)),
  /** One float32, four times. */
  splat: (address: number, offset = 0): Code => code(get(address), [0xfd, 0x09, 2], unsigned(offset)),
  store: (address: number, value: Code, offset = 0): Code =>
    code(get(address), value, [0xfd, 0x0b, 2], unsigned(offset)),
  add: (a: Code, b: Code): Code => code(a, b, [0xfd, 0xe4, 0x01]),
  multiply: (a: Code, b: Code): Code => code(a, b, [0xfd, 0xe6, 0x01]),
  /** `b` where it is greater than `a`, else `a`. */
  greater: (a: Code, b: Code): Code => code(a, b, [0xfd, 0xeb, 0x01]),
  equal: (a: Code, b: Code): Code => code(a, b, [0xfd, 0x41]),
  and: (a: Code, b: Code): Code => code(a, b, [0xfd, 0x4e]),
  /** Bits of `a` that are not in `b`. */
  without: (a: Code, b: Code): Code => code(a, b, [0xfd, 0x4f]),
} as const;

/** A function without a result: its first locals are the parameters, all i32. */
export interface WasmFunction {
  readonly parameters: number;
  /** Further i32 locals. */
  readonly integers: number;
  /** Locals of four float32, after all others. */
  readonly vectors: number;
  readonly body: Code;
}

/**
 * A module that computes in the memory of another one, imported as `env.memory`. It exports the functions in their order,
 * named by their place.
 */
export function assemble(functions: readonly WasmFunction[]): Uint8Array<ArrayBuffer> {
  const name = (text: string): Code => vector([...new TextEncoder().encode(text)].map((byte) => [byte]));
  const section = (id: number, items: readonly Code[]): Code => {
    const content = vector(items);
    return code([id], unsigned(content.length), content);
  };
  const type = ({ parameters }: WasmFunction): Code =>
    code([0x60], vector(new Array<Code>(parameters).fill([0x7f])), [0]);
  const definition = ({ integers, vectors, body }: WasmFunction): Code => {
    const locals = vector([code(unsigned(integers), [0x7f]), code(unsigned(vectors), [0x7b])]);
    const content = code(locals, body, [0x0b]);
    return code(unsigned(content.length), content);
  };
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, functions.map(type)),
    ...section(2, [code(name('env'), name('memory'), [0x02, 0x00, 0x00])]),
    ...section(
      3,
      functions.map((_, i) => unsigned(i)),
    ),
    ...section(
      7,
      functions.map((_, i) => code(name(`f${i}`), [0x00], unsigned(i))),
    ),
    ...section(10, functions.map(definition)),
  ]);
}
