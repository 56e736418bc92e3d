import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { followTokenFile, isAmong, tokenOf } from '../../coordinator/tokens.ts';
import type { Token } from '../../src/token.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';

const tokens: Token[] = [
  { name: 'lab', secret: 'aaaa' },
  { name: 'home', secret: 'bbbb' },
];

describe('tokenOf', () => {
  it('finds the one that is shown, whichever it is', () => {
    expect(tokenOf('Bearer aaaa', tokens)).toBe(tokens[0]);
    expect(tokenOf('Bearer bbbb', tokens)).toBe(tokens[1]);
  });

  it.each([
    undefined,
    '',
    'Bearer ',
    'Bearer aaa',
    'Bearer aaaaa',
    'aaaa',
    'bearer aaaa',
    'Bearer lab',
    'Basic aaaa',
  ])('finds none in "%s"', (header) => expect(tokenOf(header, tokens)).toBeUndefined());

  it('finds none in a header that no token fills, nor where there are none', () => {
    const long = { name: 'long', secret: 'a'.repeat(2_000) };
    expect(tokenOf(`Bearer ${long.secret}`, [long])).toBeUndefined();
    expect(tokenOf('Bearer aaaa', [])).toBeUndefined();
  });
});

describe('isAmong', () => {
  it('wants the same name and the same secret', () => {
    expect(isAmong(tokens, { name: 'lab', secret: 'aaaa' })).toBe(true);
    expect(isAmong(tokens, { name: 'lab', secret: 'bbbb' })).toBe(false);
    expect(isAmong(tokens, { name: 'other', secret: 'aaaa' })).toBe(false);
  });
});

describe('a token file that is followed', () => {
  it('counts as it is now, unless it cannot be used, and says so without its secrets', async () => {
    const path = join(await temporaryFolder(), 'tokens');
    /** In one step, so that nobody sees half of it. */
    const replace = async (text: string, mode = 0o600): Promise<void> => {
      await writeFile(`${path}.new`, text, { mode });
      await rename(`${path}.new`, path);
    };
    await replace('lab aaaa\n');
    const lines: string[] = [];
    const logger = pino({ base: null }, { write: (line) => void lines.push(line) });
    const used: Token[][] = [];
    onTestFinished(followTokenFile(path, (changed) => used.push(changed), logger));
    let seen = 0;
    /** The next record of the log. */
    const next = async (): Promise<object> => {
      await vi.waitUntil(() => lines.length > seen, { timeout: 20_000 });
      return JSON.parse(lines[seen++]!);
    };

    await replace('lab aaaa\nhome bbbb\n');
    expect(await next()).toMatchObject({ msg: 'the tokens have changed', tokens: ['lab', 'home'] });
    expect(used).toEqual([tokens]);

    await replace('lab aaaa bbbb cccc\n');
    expect(await next()).toMatchObject({
      msg: 'the tokens stay as they were',
      reason: `--token-file ${path}: line 1: expected a token, or a name and a token, got 4 words.`,
    });
    await rm(path);
    expect(await next()).toMatchObject({
      msg: 'the tokens stay as they were',
      reason: expect.stringContaining('ENOENT'),
    });
    expect(used).toHaveLength(1);

    await replace('home bbbb\n', 0o644);
    expect(await next()).toMatchObject({ level: 40, file: path });
    expect(await next()).toMatchObject({ msg: 'the tokens have changed', tokens: ['home'] });
    expect(used).toEqual([tokens, [tokens[1]]]);
    expect(lines.join()).not.toMatch(/aaaa|bbbb|cccc/);
  });
});
