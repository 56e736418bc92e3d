import fc from 'fast-check';
import type { z } from 'zod';

/** The little of a schema's definition that is read here; zod has it the same for all its kinds. */
interface Definition {
  readonly type: string;
  readonly checks?: readonly { readonly _zod: { readonly def: Check } }[];
  readonly shape?: Readonly<Record<string, z.ZodType>>;
  readonly innerType?: z.ZodType;
  readonly element?: z.ZodType;
  readonly items?: readonly z.ZodType[];
  readonly options?: readonly z.ZodType[];
  readonly keyType?: z.ZodType;
  readonly valueType?: z.ZodType;
  readonly entries?: Readonly<Record<string, string>>;
  readonly values?: readonly unknown[];
  readonly format?: string;
}

interface Check {
  readonly check: string;
  readonly value?: number;
  readonly inclusive?: boolean;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly pattern?: RegExp;
}

/** Arrays and maps are no longer, as long ones only take time; a schema's own least length counts all the same. */
const MOST_ITEMS = 4;
/** Lengths of bytes that a schema may ask for: its definition does not tell, so each is tried. */
const LENGTHS = [0, 1, 3, 8, 16, 24, 32, 64];
/** A receiver renames a key `__proto__`, so that it does no harm: a message with one does not arrive as it was sent. */
const ANYTHING = fc
  .jsonValue({ maxDepth: 3 })
  .map((value) => JSON.parse(JSON.stringify(value, withoutProto)));

/** Values that a schema of the protocol accepts, but for rules that its definition does not tell. */
export function valuesOf(schema: z.ZodType): fc.Arbitrary<unknown> {
  const def = schema._zod.def as unknown as Definition;
  const checks = (def.checks ?? []).map((each) => each._zod.def);
  switch (def.type) {
    case 'object':
      return fc.record(valuesOfAll(def.shape!)).map(withoutAbsent);
    case 'optional':
      return fc.option(valuesOf(def.innerType!), { nil: undefined });
    case 'union':
      return fc.oneof(...def.options!.map(valuesOf));
    case 'literal':
      return fc.constantFrom(...def.values!);
    case 'enum':
      return fc.constantFrom(...Object.values(def.entries!));
    case 'boolean':
      return fc.boolean();
    case 'unknown':
      return ANYTHING;
    case 'custom':
      return bytesOf(schema);
    case 'string':
      return stringsOf(checks);
    case 'number':
      return numbersOf(checks, def.format !== undefined);
    case 'tuple':
      return fc.tuple(...def.items!.map(valuesOf));
    case 'array': {
      const minLength = Math.max(0, ...checks.map(({ minimum }) => minimum ?? 0));
      return fc.array(valuesOf(def.element!), {
        minLength,
        maxLength: Math.max(minLength, lengthOf(checks)),
      });
    }
    case 'record':
      return fc.dictionary(valuesOf(def.keyType!) as fc.Arbitrary<string>, valuesOf(def.valueType!), {
        maxKeys: MOST_ITEMS,
        noNullPrototype: true,
      });
    default:
      throw new Error(
        `schemas.ts: expected a kind of schema that messages have, got ${def.type}; add it there`,
      );
  }
}

function valuesOfAll(shape: Readonly<Record<string, z.ZodType>>): Record<string, fc.Arbitrary<unknown>> {
  return Object.fromEntries(Object.entries(shape).map(([key, schema]) => [key, valuesOf(schema)]));
}

function withoutAbsent(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function lengthOf(checks: readonly Check[]): number {
  return Math.min(MOST_ITEMS, ...checks.map(({ maximum }) => maximum ?? MOST_ITEMS));
}

function withoutProto(key: string, value: unknown): unknown {
  return key === '__proto__' ? undefined : value;
}

function bytesOf(schema: z.ZodType): fc.Arbitrary<Uint8Array> {
  const lengths = LENGTHS.filter((length) => schema.safeParse(new Uint8Array(length)).success);
  return fc.oneof(...lengths.map((length) => fc.uint8Array({ minLength: length, maxLength: length })));
}

function stringsOf(checks: readonly Check[]): fc.Arbitrary<string> {
  const pattern = checks.find((check) => check.pattern)?.pattern;
  if (pattern) return fc.stringMatching(pattern);
  const most = Math.min(...checks.map(({ maximum }) => maximum ?? 64));
  return fc.string({ unit: 'grapheme', maxLength: most }).filter((text) => text.length <= most);
}

function numbersOf(checks: readonly Check[], integer: boolean): fc.Arbitrary<number> {
  const bound = (check: string) => checks.find((each) => each.check === check);
  const [least, most] = [bound('greater_than'), bound('less_than')];
  if (integer) {
    const [min, max] = [least?.value ?? -(2 ** 31), most?.value ?? 2 ** 31];
    return fc.oneof(fc.integer({ min, max: Math.min(max, min + 8) }), fc.integer({ min, max }));
  }
  return fc.double({
    noNaN: true,
    noDefaultInfinity: true,
    ...(least && { min: least.value!, minExcluded: !least.inclusive }),
    ...(most && { max: most.value!, maxExcluded: !most.inclusive }),
  });
}
