import { z } from 'zod';
import { experimentSchema } from './schema.ts';

/** What JSON Schema says about one key; `expected` is the schema's own wording where that would not be plain. */
interface KeySchema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly expected?: string;
  readonly properties?: Readonly<Record<string, KeySchema>>;
  readonly items?: KeySchema;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
}

/** Stands for any index in the path of a list's items. */
export const ITEM = '[]';

/** One key that an experiment file can hold and that is not a section. */
export interface Setting {
  /** Such as `['data', 'labelNoise']`, or `['peers', '[]', 'model']`. */
  readonly path: readonly string[];
  readonly description: string;
  /** What values it takes, in words. */
  readonly expected: string;
  /** As it would be written in a file; undefined when there is none. */
  readonly default: unknown;
  /** Whether every value is a string, so that `2024` and `true` are strings too. */
  readonly textual: boolean;
}

const root = z.toJSONSchema(experimentSchema, { io: 'input' }) as KeySchema;

/** All settings of an experiment in the order of the schema; a list of maps is followed by the keys of its items. */
export function experimentSettings(): Setting[] {
  return settingsOf(root, []);
}

function settingsOf(schema: KeySchema, path: readonly string[]): Setting[] {
  if (schema.properties) {
    return Object.entries(schema.properties).flatMap(([key, child]) => settingsOf(child, [...path, key]));
  }
  const setting = {
    path,
    description: schema.description ?? '',
    expected: expectationOf(schema),
    default: schema.default,
    textual: schema.type === 'string',
  };
  return [setting, ...(schema.items?.properties ? settingsOf(schema.items, [...path, ITEM]) : [])];
}

/** What the key at `path` takes, in words; undefined for a key that no experiment has. */
export function expectedAt(path: readonly PropertyKey[]): string | undefined {
  const schema = schemaAt(path);
  return schema && expectationOf(schema);
}

/** The keys that the map at `path` can hold. */
export function keysAt(path: readonly PropertyKey[]): string[] {
  return Object.keys(schemaAt(path)?.properties ?? {});
}

/** `peers[0].model` of `['peers', 0, 'model']`. */
export function keyOf(path: readonly PropertyKey[]): string {
  return path
    .map((part) => (typeof part === 'number' ? `[${part}]` : part === ITEM ? ITEM : `.${String(part)}`))
    .join('')
    .replace(/^\./, '');
}

function schemaAt(path: readonly PropertyKey[]): KeySchema | undefined {
  return path.reduce<KeySchema | undefined>(
    (schema, part) => (typeof part === 'number' ? schema?.items : schema?.properties?.[String(part)]),
    root,
  );
}

function expectationOf(schema: KeySchema): string {
  if (schema.expected) return schema.expected;
  if (schema.enum) return oneOf(schema.enum);
  switch (schema.type) {
    case 'object':
      return 'a map of keys and values';
    case 'array':
      return schema.items ? `a list, each item ${expectationOf(schema.items)}` : 'a list';
    case 'boolean':
      return 'true or false';
    case 'integer':
      return `a whole number${rangeOf(schema)}`;
    case 'number':
      return `a number${rangeOf(schema)}`;
    default:
      return 'a string that is not empty';
  }
}

function oneOf(values: readonly string[]): string {
  return values.length < 2 ? values.join() : `${values.slice(0, -1).join(', ')} or ${values.at(-1)}`;
}

function rangeOf({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: KeySchema): string {
  const from = minimum !== undefined ? ` from ${minimum}` : '';
  if (exclusiveMaximum !== undefined) return `${from} to below ${exclusiveMaximum}`;
  if (maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER) return `${from} to ${maximum}`;
  if (exclusiveMinimum !== undefined) return ` above ${exclusiveMinimum}`;
  return minimum !== undefined ? ` of at least ${minimum}` : '';
}
