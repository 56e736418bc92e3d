import { createHash, timingSafeEqual } from 'node:crypto';
import { type Stats, statSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { messageOf } from '../src/errors.ts';
import type { Logger } from '../src/logger.ts';
import { readableByOthers, readTokens, type Token } from '../src/token.ts';

/** How often to look whether the file has changed, in milliseconds. */
const LOOK_EVERY_MS = 1_000;
/** The longest header that can hold a token; a longer one is wrong without a look at it. */
const MAX_HEADER_LENGTH = 1_024;

/** The token that an `Authorization` header shows; `undefined` when it shows none of them. Takes the same time for each. */
export function tokenOf(header: string | undefined, tokens: readonly Token[]): Token | undefined {
  if (header === undefined || header.length > MAX_HEADER_LENGTH) return undefined;
  const shown = digest(header);
  let found: Token | undefined;
  for (const token of tokens) {
    if (timingSafeEqual(shown, digest(`Bearer ${token.secret}`))) found = token;
  }
  return found;
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** Whether a token is still among `tokens`: under the same name and with the same secret. */
export function isAmong(tokens: readonly Token[], { name, secret }: Token): boolean {
  return tokens.some((token) => token.name === name && token.secret === secret);
}

/**
 * Reads a token file again whenever it changes, is replaced, or comes back. One that cannot be used then changes nothing.
 *
 * @returns what ends this
 */
export function followTokenFile(path: string, use: (tokens: Token[]) => void, logger: Logger): () => void {
  const warn = (): void => {
    if (readableByOthers(path)) {
      logger.warn(
        { file: path },
        'others on this machine may read the token file: chmod 600 keeps it secret',
      );
    }
  };
  const look = (): void => {
    let tokens: Token[];
    try {
      tokens = readTokens(path);
      warn();
    } catch (error) {
      logger.error({ reason: messageOf(error) }, 'the tokens stay as they were');
      return;
    }
    logger.info({ tokens: tokens.map(({ name }) => name) }, 'the tokens have changed');
    use(tokens);
  };
  warn();
  let known = versionOf(statSync(path));
  // Not `watch`: it loses a file that is replaced, as editors and secret stores do.
  const timer = setInterval(async () => {
    const version = versionOf(await stat(path).catch(() => null));
    if (version === known) return;
    known = version;
    look();
  }, LOOK_EVERY_MS).unref();
  return () => clearInterval(timer);
}

/** Differs from one state of a file to the next. */
function versionOf(stats: Stats | null): string {
  return stats ? [stats.ino, stats.size, stats.mtimeMs, stats.ctimeMs].join() : 'absent';
}
