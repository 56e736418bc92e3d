import { closest } from 'fastest-levenshtein';
import { UsageError } from './errors.ts';

/** `; did you mean "cnn-s"?` for a misspelt name, or a full stop when nothing known is near enough to be meant. */
export function suggestion(wrong: string, known: readonly string[]): string {
  if (known.length === 0) return '.';
  const nearest = closest(wrong.toLowerCase(), known as string[]);
  const shared = [...new Set(wrong.toLowerCase())].filter((letter) => nearest.includes(letter)).length;
  return shared * 2 >= new Set(nearest).size ? `; did you mean "${nearest}"?` : '.';
}

/**
 * Finds `name` in a registry.
 *
 * @throws {UsageError} naming the nearest known name and all others
 */
export function lookUp<T>(kind: string, registry: Readonly<Record<string, T>>, name: string): T {
  if (Object.hasOwn(registry, name)) return registry[name]!;
  const known = Object.keys(registry);
  throw new UsageError(`Unknown ${kind} "${name}"${suggestion(name, known)} Known: ${known.join(', ')}.`);
}
