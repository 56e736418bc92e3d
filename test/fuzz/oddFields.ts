import fc from 'fast-check';
import { pack, Raw } from '../fixtures/wire/msgpack.ts';

type Path = readonly (string | number)[];

/** Values that fields do not expect. */
const odd = fc.oneof(
  fc.constantFrom<unknown>(...[null, true, '', [], {}, Number.NaN, Number.POSITIVE_INFINITY, -0, -1, 0.5]),
  fc.constantFrom<unknown>(...[2 ** 31 - 1, 2 ** 31, 2 ** 53, 1e308, 5e-324, -(2 ** 63), 65_536]),
  // What every object has, and what is there under another name.
  fc.constantFrom<unknown>('__proto__', 'constructor', 'constructor@1', 'float32', 'teacher'),
  fc.constantFrom<unknown>('\u0000', '\ud800', '∞'),
  fc.nat(20_000).map((length) => 'x'.repeat(length)),
  fc.nat(20_000).map((length) => new Uint8Array(length)),
  // A timestamp, extension types, the unused byte, sizes beyond the frame.
  fc.constantFrom(
    ...['d6ff00000000', 'c70001', 'c1', 'dbffffffff', 'ddffffffff', 'dfffffffff', 'c6ffffffff'].map(raw),
  ),
  fc.jsonValue({ maxDepth: 2 }),
);

/** Names of fields that an object should not get. */
const keys = fc.oneof(
  fc.constantFrom('__proto__', 'constructor', 'toString', 'type', 'hasOwnProperty', 'then'),
  fc.string({ maxLength: 8 }),
  fc.integer({ min: 100, max: 4_000 }).map((length) => 'k'.repeat(length)),
);

type Edit =
  | { readonly kind: 'set'; readonly place: number; readonly value: unknown }
  | { readonly kind: 'delete'; readonly place: number }
  | { readonly kind: 'add'; readonly place: number; readonly key: string; readonly value: unknown };

const edits: fc.Arbitrary<Edit> = fc.oneof(
  fc.record({ kind: fc.constant('set' as const), place: fc.nat(200), value: odd }),
  fc.record({ kind: fc.constant('delete' as const), place: fc.nat(200) }),
  fc.record({ kind: fc.constant('add' as const), place: fc.nat(200), key: keys, value: odd }),
);

/** Frames of messages with some fields that are wrong, missing, or too many. */
export function oddFrames(messages: fc.Arbitrary<object>): fc.Arbitrary<Uint8Array> {
  return fc.tuple(messages, fc.array(edits, { minLength: 1, maxLength: 3 })).map(([message, changes]) => {
    const fields = structuredClone(message) as Record<string, unknown>;
    for (const change of changes) apply(fields, change);
    return Uint8Array.from(pack(fields));
  });
}

/**
 * Frames of nesting, of many items, of the same key again and again: little to send, much to build. But for that they
 * are valid, so that only their limits keep them out.
 */
export const bombs: fc.Arbitrary<Uint8Array> = fc
  .record({
    around: fc.constantFrom(
      { type: 'welcome', protocol: 1, run: 'r', name: 'a', model: 'm', field: 'experiment' },
      { type: 'finished', field: 'unknown' },
      { type: 'notice', event: 'recovered', step: 1, reason: '', field: 'unknown' },
    ),
    open: fc.constantFrom('91', '81a161', 'dc0001', 'de0001a161', '9290'),
    depth: fc.oneof({ arbitrary: fc.nat(24), weight: 9 }, { arbitrary: fc.nat(20_000), weight: 1 }),
    item: fc.constantFrom('c0', '90', '80', 'a0', 'a161', '01', 'cb7ff0000000000000'),
    count: fc.oneof({ arbitrary: fc.nat(20), weight: 9 }, { arbitrary: fc.nat(70_000), weight: 1 }),
    map: fc.boolean(),
  })
  .map(({ around, open, depth, item, count, map }) => {
    const items = `${map ? 'a161' : ''}${item}`.repeat(count);
    const size = count.toString(16).padStart(8, '0');
    const bomb = raw(`${open.repeat(depth)}${map ? 'df' : 'dd'}${size}${items}`);
    const { field, ...fields } = around;
    return Uint8Array.from(pack({ ...fields, [field]: { bomb } }));
  });

function raw(hex: string): Raw {
  return new Raw(hex);
}

function apply(fields: Record<string, unknown>, edit: Edit): void {
  const places = placesIn(fields);
  if (places.length === 0) return;
  const path = places[edit.place % places.length]!;
  const parent = path.slice(0, -1).reduce<unknown>((value, key) => (value as never)[key], fields) as never;
  const key = path.at(-1)! as never;
  if (edit.kind === 'set') define(parent, key, edit.value);
  else if (edit.kind === 'delete' && Array.isArray(parent)) (parent as unknown[]).splice(Number(key), 1);
  else if (edit.kind === 'delete') delete parent[key];
  else if (!Array.isArray(parent)) define(parent, edit.key, edit.value);
}

/** As a field of its own, also `__proto__`. */
function define(target: object, key: PropertyKey, value: unknown): void {
  Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
}

/** The paths of all values within a value. */
function placesIn(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array || value instanceof Raw)
    return [];
  const entries = Array.isArray(value) ? [...value.entries()] : Object.entries(value);
  return entries.flatMap(([key, each]) => [[...path, key], ...placesIn(each, [...path, key])]);
}
