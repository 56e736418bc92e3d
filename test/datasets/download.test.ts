import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { download } from '../../src/datasets/download.ts';
import { DataError } from '../../src/errors.ts';
import { serve, serveFiles } from './support.ts';

const content = Uint8Array.from({ length: 200_000 }, (_, i) => i);
const sha256 = createHash('sha256').update(content).digest('hex');
const expected = { name: 'file', bytes: content.length, sha256 };

async function failure(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(DataError);
  return (error as DataError).message;
}

describe('download', () => {
  it('returns a file whose size and checksum are right', async () => {
    const base = await serveFiles({ file: content });
    expect(await download(`${base}file`, expected)).toEqual(content);
  });

  it.each([
    ['altered', content.with(5, 0), /expected SHA-256 [0-9a-f]{64}, got [0-9a-f]{64}/],
    ['shorter', content.subarray(1), /expected 200000 bytes, got 199999/],
    ['longer', new Uint8Array(200_001), /expected 200000 bytes, got more/],
  ])('refuses a file that is %s', async (_, served, message) => {
    const base = await serveFiles({ file: served });
    expect(await failure(download(`${base}file`, expected))).toMatch(message);
  });

  it('tells the status of an error', async () => {
    const base = await serveFiles({});
    expect(await failure(download(`${base}file`, expected))).toContain('expected status 200, got 404');
  });

  it('tells why there is no connection', async () => {
    const base = await serve((request) => request.socket.destroy());
    const message = await failure(download(`${base}file`, expected));
    expect(message).toMatch(/Cannot download http:.*CODISTILL_DATASETS_URL/);
    expect(message, 'says no more than that').not.toContain('fetch failed');
  });

  it('gives up on a server that does not answer', async () => {
    const base = await serve(() => {});
    expect(await failure(download(`${base}file`, expected, 50))).toContain('no data for 0.05 s');
  });

  it('gives up on a server that falls silent midway', async () => {
    const base = await serve((_, response) => response.write(content.subarray(0, 1000)));
    expect(await failure(download(`${base}file`, expected, 50))).toContain('no data for 0.05 s');
  });

  it('stays with a server that is slow but not silent', async () => {
    const base = await serve((_, response) => {
      let sent = 0;
      const timer = setInterval(() => {
        response.write(content.subarray(sent, sent + 40_000));
        sent += 40_000;
        if (sent < content.length) return;
        clearInterval(timer);
        response.end();
      }, 250);
    });
    expect(await download(`${base}file`, expected, 1000)).toEqual(content);
  });
});
