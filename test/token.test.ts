import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../src/errors.ts';
import { parseTokens, readableByOthers, readTokens } from '../src/token.ts';
import { temporaryFolder } from './support/temporaryFolder.ts';

describe('a token file', () => {
  it.each([
    ['with a newline, as echo writes it', 's3cret-token\n'],
    ['without a newline', 's3cret-token'],
    ['with the line ends of Windows', 's3cret-token\r\n'],
    ['with a byte order mark and blanks', '\ufeff s3cret-token \t\n'],
    ['with comments and blank lines', '# for the lab\n\n  # old: another\ns3cret-token\n\n'],
  ])('%s gives its token', (_, text) => {
    expect(parseTokens(text)).toEqual([{ name: 'token', secret: 's3cret-token' }]);
  });

  it('gives several, each with its name', () => {
    expect(parseTokens('lab  aaaa\n# gone: bbbb\r\nhome\tcccc\r\ndddd\n')).toEqual([
      { name: 'lab', secret: 'aaaa' },
      { name: 'home', secret: 'cccc' },
      { name: 'token', secret: 'dddd' },
    ]);
  });

  it.each([
    ['without any', ' \r\n# nothing\n', 'expected a token, got nothing.'],
    [
      'with more than two words',
      'a b\nlab is secret\n',
      'line 2: expected a token, or a name and a token, got 3 words.',
    ],
    [
      'with a name that is none',
      'la/b secret',
      'line 1: expected a name of letters, digits, ".", "_" and "-" before the token.',
    ],
    [
      'with letters that no header can hold',
      'lab sécret',
      'line 1: expected a token of ASCII letters, digits and signs.',
    ],
    [
      'with two of one name',
      'lab secret\n\nlab other',
      'line 3: expected a name of its own, but "lab" is the name of a token above; write "name token".',
    ],
    [
      'with two without a name',
      'secret\nother',
      'line 2: expected a name of its own, but "token" is the name of a token above; write "name token".',
    ],
    [
      'with one twice',
      'lab secret\nhome secret',
      'line 2: expected a token of its own, but "home" has the same as one above.',
    ],
  ])('%s is refused, and does not show up in the error', (_, text, message) => {
    expect(() => parseTokens(text)).toThrow(new UsageError(message));
    expect(message).not.toMatch(/secret|sécret/);
  });

  it('that cannot be used is named', async () => {
    const path = join(await temporaryFolder(), 'token');
    expect(() => readTokens(path)).toThrow(UsageError);
    expect(() => readTokens(path)).toThrow(`--token-file ${path}: ENOENT`);
    await writeFile(path, '');
    expect(() => readTokens(path)).toThrow(
      new UsageError(`--token-file ${path}: expected a token, got nothing.`),
    );
  });

  it('is readable by others or not', async () => {
    const path = join(await temporaryFolder(), 'token');
    await writeFile(path, 'secret');
    for (const [mode, expected] of [
      [0o600, false],
      [0o400, false],
      [0o640, true],
      [0o604, true],
      [0o620, true],
    ] as const) {
      await chmod(path, mode);
      expect(readableByOthers(path), mode.toString(8)).toBe(expected);
    }
  });
});
