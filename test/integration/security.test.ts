import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { openSocket } from '../../peer/socket.ts';
import { readClientTls } from '../../peer/tls.ts';
import { ExitCode } from '../../src/errors.ts';
import { encodeMessage } from '../../src/protocol/wire.ts';
import { helloOf } from '../coordinator/support.ts';
import { fixture } from '../support/certificates.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';
import { LONG, startCoordinator, startPeer, TINY_SETTINGS } from './support.ts';

const SECRETS = { lab: 'f00d'.repeat(16), home: 'beef'.repeat(16) };
const KEY = ['--tls-key', fixture('key.pem')];

/** Replaces a file in one step. */
function replace(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

it('peers train over mutual TLS, each with its token and key, until a token is revoked; no secret is written', async () => {
  const folder = await temporaryFolder();
  const results = await temporaryFolder();
  const tokens = join(folder, 'tokens');
  replace(tokens, `lab ${SECRETS.lab}\nhome ${SECRETS.home}\n`);
  for (const [name, secret] of Object.entries(SECRETS)) replace(join(folder, name), secret);
  const { program, url, runFolder } = await startCoordinator(
    [
      ...['--peers', '2xmlp', ...TINY_SETTINGS, ...LONG, '--log-level', 'trace'],
      ...[
        '--token-file',
        tokens,
        '--tls-cert',
        fixture('server.pem'),
        ...KEY,
        '--tls-client-ca',
        fixture('ca.pem'),
      ],
    ],
    results,
  );
  expect(url).toMatch(/^wss:/);
  const start = (name: 'lab' | 'home') =>
    startPeer(name, url, results, [
      ...['--name', name, '--token-file', join(folder, name), '--identity-file', join(folder, `${name}.key`)],
      ...['--tls-ca', fixture('ca.pem'), '--tls-cert', fixture('client.pem'), ...KEY, '--log-level', 'trace'],
    ]);
  const [lab, home] = await Promise.all([start('lab'), start('home')]);
  for (const peer of [lab, home]) expect(await peer.logged('training')).not.toBeNull();

  replace(tokens, `lab ${SECRETS.lab}\n`);
  const events = (): string => readFileSync(join(runFolder, 'events.ndjson'), 'utf8');
  await vi.waitUntil(() => events().includes('"left"'), { timeout: 20_000 });
  const records = events()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(records.filter(({ event }) => event !== 'missed' && event !== 'joined')).toMatchObject([
    { event: 'started' },
    { event: 'revoked', peer: 'home', token: 'home' },
    { event: 'left', peer: 'home', reason: 'the token "home" was revoked' },
  ]);
  const joined = records
    .filter(({ event }) => event === 'joined')
    .map(({ peer, token }) => `${peer} ${token}`);
  expect(joined.sort()).toEqual(['home home', 'lab lab']);

  // Nor does another process with a good token and certificate get the name.
  const closed = new Promise((resolve) => {
    const token = { name: 'lab', secret: SECRETS.lab };
    const address = `${url}/ws`;
    const tls = readClientTls(address, {
      tlsCa: fixture('ca.pem'),
      ...{ tlsCert: fixture('client.pem'), tlsKey: fixture('key.pem') },
    });
    const socket = openSocket(
      address,
      { token, tls },
      {
        opened: () => socket.send(encodeMessage(helloOf('lab', { incarnation: 'intruder' }))),
        frame: () => {},
        ping: () => {},
        closed: (code, reason) => resolve([code, reason]),
      },
    );
  });
  expect(await closed).toEqual([4001, '"lab" belongs to a key, and this peer has shown none']);

  home.kill('SIGTERM');
  lab.kill('SIGTERM');
  expect(await Promise.all([home.exited, lab.exited])).toEqual([ExitCode.refused, ExitCode.ok]);
  program.kill('SIGTERM');
  await program.exited;
  const files = readdirSync(results, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  const texts = files.map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'));
  const keys = ['lab', 'home'].map(
    (name) => readFileSync(join(folder, `${name}.key`), 'utf8').split('\n')[1]!,
  );
  expect(texts.some((text) => text.includes('the token \\"home\\" was revoked'))).toBe(true);
  for (const secret of [...Object.values(SECRETS), ...keys]) {
    expect(files.filter((_, i) => texts[i]!.includes(secret)).map(({ name }) => name)).toEqual([]);
  }
});
