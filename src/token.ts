import { readFileSync, statSync } from 'node:fs';
import { messageOf, UsageError } from './errors.ts';
import { NAME_PATTERN } from './protocol/messages.ts';

/** What a peer shows to be let in. */
export interface Token {
  /** For logs and records, which never hold the secret. */
  readonly name: string;
  readonly secret: string;
}

/** A token that is alone on its line. */
const UNNAMED = 'token';
/** What an HTTP header can carry without an escape. */
const SECRET_PATTERN = /^[\x21-\x7e]+$/;

/**
 * The tokens of a text: one a line, its name before it where there are several; blank lines and those that begin with
 * `#` do not count.
 *
 * @throws {UsageError} that names the line, and never what stands there
 */
export function parseTokens(text: string): Token[] {
  const tokens: Token[] = [];
  for (const [i, line] of text.split('\n').entries()) {
    const words = line.split(/\s+/).filter((word) => word !== '');
    if (words.length === 0 || words[0]!.startsWith('#')) continue;
    const wrong = (text: string): UsageError => new UsageError(`line ${i + 1}: ${text}`);
    if (words.length > 2) throw wrong(`expected a token, or a name and a token, got ${words.length} words.`);
    const secret = words.at(-1)!;
    const name = words.length === 2 ? words[0]! : UNNAMED;
    if (!NAME_PATTERN.test(name)) {
      throw wrong('expected a name of letters, digits, ".", "_" and "-" before the token.');
    }
    if (!SECRET_PATTERN.test(secret)) throw wrong('expected a token of ASCII letters, digits and signs.');
    if (tokens.some((token) => token.name === name)) {
      throw wrong(
        `expected a name of its own, but "${name}" is the name of a token above; write "name token".`,
      );
    }
    if (tokens.some((token) => token.secret === secret)) {
      throw wrong(`expected a token of its own, but "${name}" has the same as one above.`);
    }
    tokens.push({ name, secret });
  }
  if (tokens.length === 0) throw new UsageError('expected a token, got nothing.');
  return tokens;
}

/** @throws {UsageError} when the file cannot be read, holds no token, or a line that is none */
export function readTokens(path: string): Token[] {
  try {
    return parseTokens(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new UsageError(`--token-file ${path}: ${messageOf(error)}`, { cause: error });
  }
}

/** Whether other users of this machine may read a file that holds a secret; where there are no such rights, never. */
export function readableByOthers(path: string): boolean {
  return process.platform !== 'win32' && (statSync(path).mode & 0o077) !== 0;
}
