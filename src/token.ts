import { readFileSync } from 'node:fs';
import { messageOf, UsageError } from './errors.ts';

/**
 * The token in the first line of a file.
 *
 * @throws {UsageError} when there is none
 */
export function readToken(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`--token-file: ${messageOf(error)}`, { cause: error });
  }
  const token = text.split('\n')[0]!.trim();
  if (token === '') {
    throw new UsageError(`--token-file: expected a token in the first line of ${path}, got nothing.`);
  }
  return token;
}
