import type { z } from 'zod';
import { suggestion } from '../names.ts';
import { expectedAt, experimentSettings, keyOf, keysAt } from './settings.ts';

/** One thing that is wrong with an experiment. */
export interface Problem {
  readonly path: readonly PropertyKey[];
  /** The key that `message` speaks of without naming it; undefined when the message names its subject itself. */
  readonly key: string | undefined;
  readonly message: string;
}

/**
 * What `error` says about an experiment, in plain sentences.
 *
 * @param input what was validated; its values are quoted
 */
export function problemsOf(error: z.ZodError, input: unknown): Problem[] {
  return error.issues.flatMap((issue): Problem[] => {
    const { path } = issue;
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({
        path: [...path, key],
        key: undefined,
        message: unknownKey(path, key),
      }));
    }
    const message =
      issue.code === 'custom'
        ? issue.message
        : `expected ${expectedAt(path) ?? issue.message}, got ${quote(valueAt(input, path))}`;
    return [{ path, key: keyOf(path), message }];
  });
}

function unknownKey(parent: readonly PropertyKey[], key: string): string {
  const known = keysAt(parent);
  const elsewhere = experimentSettings().find(({ path }) => path.length > 1 && path.at(-1) === key);
  const hint = elsewhere ? `; did you mean "${keyOf(elsewhere.path)}"?` : suggestion(key, known);
  return `unknown key "${keyOf([...parent, key])}"${hint} Known: ${known.join(', ')}.`;
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce((value, part) => (value as Record<PropertyKey, unknown> | undefined)?.[part], input);
}

function quote(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'string')
    return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}...` : value);
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  return value !== null && typeof value === 'object' ? 'a map' : String(value);
}
