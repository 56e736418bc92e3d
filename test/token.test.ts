import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { UsageError } from '../src/errors.ts';
import { readToken } from '../src/token.ts';
import { temporaryFolder } from './support/temporaryFolder.ts';

async function fileWith(text: string): Promise<string> {
  const path = join(await temporaryFolder(), 'token');
  await writeFile(path, text);
  return path;
}

describe('a token file', () => {
  it.each([
    ['with a newline, as echo writes it', 's3cret-token\n'],
    ['without a newline', 's3cret-token'],
    ['with the line ends of Windows', 's3cret-token\r\n'],
    ['with a byte order mark and blanks', '\ufeff s3cret-token \t\n'],
    ['with more lines, which do not count', 's3cret-token\nfor the lab\n'],
  ])('%s gives its token', async (_, text) => {
    expect(readToken(await fileWith(text))).toBe('s3cret-token');
  });

  it.each([
    ['that is empty', ''],
    ['whose first line is blank', ' \r\ns3cret-token\n'],
  ])('%s is refused, and named', async (_, text) => {
    const path = await fileWith(text);
    expect(() => readToken(path)).toThrow(
      new UsageError(`--token-file: expected a token in the first line of ${path}, got nothing.`),
    );
  });

  it('that does not exist is refused with the reason', async () => {
    const path = join(await temporaryFolder(), 'missing');
    expect(() => readToken(path)).toThrow(UsageError);
    expect(() => readToken(path)).toThrow('--token-file: ENOENT');
  });
});
