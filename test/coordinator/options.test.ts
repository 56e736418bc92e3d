import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { parseCoordinatorOptions } from '../../coordinator/options.ts';
import { ExitCode } from '../../src/errors.ts';
import { fixture } from '../support/certificates.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';

afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

async function file(name: string, text: string): Promise<string> {
  const path = join(await temporaryFolder(), name);
  await writeFile(path, text);
  return path;
}

describe('parseCoordinatorOptions', () => {
  it('listens on this machine alone when nothing else is said', async () => {
    const options = await parseCoordinatorOptions([]);
    expect(options).toMatchObject({
      host: '127.0.0.1',
      port: 7070,
      tokens: null,
      tls: null,
      logLevel: 'info',
    });
    expect(options.dir).toBeUndefined();
    expect(options.experiment.peers).toMatchObject([{ model: 'cnn-s', count: 2 }]);
  });

  it('takes flags, and the settings of the experiment among them', async () => {
    const token = await file('token', 'secret\n');
    const flags = [
      '--host',
      '0.0.0.0',
      '--port',
      '0',
      '--token-file',
      token,
      '--dir',
      'd',
      '--quorum',
      'all',
    ];
    const { experiment, ...options } = await parseCoordinatorOptions(['quickstart', ...flags]);
    expect(options).toEqual({
      host: '0.0.0.0',
      port: 0,
      exposed: true,
      tokens: [{ name: 'token', secret: 'secret' }],
      tokenFile: token,
      tls: null,
      dir: 'd',
      maxJournalBytes: 256 * 1024 ** 2,
      logLevel: 'info',
      maxPeers: 68,
      maxMemoryBytes: expect.any(Number),
    });
    expect(experiment).toMatchObject({ name: 'quickstart', exchange: { quorum: 'all' } });
  });

  it('takes variables of the environment, and flags before them', async () => {
    vi.stubEnv('CODISTILL_PORT', '8000');
    vi.stubEnv('CODISTILL_HOST', '::1');
    expect(await parseCoordinatorOptions(['--port', '9000'])).toMatchObject({ host: '::1', port: 9000 });
  });

  it.each(['0.0.0.0', '::', '192.168.0.7', 'example.org'])('refuses %s without a token', async (host) => {
    await expect(parseCoordinatorOptions(['--host', host])).rejects.toMatchObject({
      message: `--host ${host}: expected a token to protect an address that others can reach; give --token-file.`,
      exitCode: ExitCode.usage,
    });
  });

  it.each(['127.0.0.1', '::1', 'localhost'])('takes %s without a token', async (host) => {
    expect(await parseCoordinatorOptions(['--host', host])).toMatchObject({
      host,
      exposed: false,
      tokens: null,
    });
  });

  it('refuses a file without a token', async () => {
    const path = await file('token', '\n# secret\n');
    await expect(parseCoordinatorOptions(['--token-file', path])).rejects.toThrow(
      `--token-file ${path}: expected a token, got nothing.`,
    );
  });

  it('takes a certificate with its key, and authorities for those of peers', async () => {
    const pair = ['--tls-cert', fixture('server.pem'), '--tls-key', fixture('key.pem')];
    const { tls } = await parseCoordinatorOptions(pair);
    expect(tls).toMatchObject({ minVersion: 'TLSv1.2', requestCert: false, rejectUnauthorized: false });
    vi.stubEnv('CODISTILL_TLS_CLIENT_CA', fixture('ca.pem'));
    expect(await parseCoordinatorOptions(pair)).toMatchObject({
      tls: { requestCert: true, rejectUnauthorized: true, ca: readFileSync(fixture('ca.pem')) },
    });
  });

  it.each([
    ['half a pair', ['--tls-cert', 'server.pem'], /^expected --tls-cert and --tls-key together/],
    ['the other half', ['--tls-key', 'key.pem'], /^expected --tls-cert and --tls-key together/],
    [
      'authorities alone',
      ['--tls-client-ca', 'ca.pem'],
      /^--tls-client-ca: expected --tls-cert and --tls-key with it/,
    ],
    ['no file', ['--tls-cert', 'absent.pem', '--tls-key', 'key.pem'], /^--tls-cert: ENOENT/],
    [
      'a key as certificate',
      ['--tls-cert', 'key.pem', '--tls-key', 'key.pem'],
      /^--tls-cert .*key\.pem: expected a certificate as PEM, got none/,
    ],
    [
      'the key of another one',
      ['--tls-cert', 'ca.pem', '--tls-key', 'key.pem'],
      /^--tls-key .*key\.pem: expected the private key of .*ca\.pem.*key values mismatch/,
    ],
    [
      'a certificate as key',
      ['--tls-cert', 'server.pem', '--tls-key', 'server.pem'],
      /^--tls-key .*server\.pem: expected the private key/,
    ],
    [
      'what is over',
      ['--tls-cert', 'expired.pem', '--tls-key', 'key.pem'],
      /^--tls-cert .*expired\.pem: expected a certificate that is valid now, got one from Jan +1 .* 2024 GMT to Jan +2 .* 2024 GMT; renew it/,
    ],
  ])('refuses %s', async (_, flags, message) => {
    const args = flags.map((word) => (word.startsWith('--') ? word : fixture(word)));
    await expect(parseCoordinatorOptions(args)).rejects.toMatchObject({
      message: expect.stringMatching(message),
      exitCode: ExitCode.usage,
    });
  });

  it.each(['65536', '-1', '7070.5', '1e3', '0x10', 'http', '', ' '])(
    'refuses "%s" as a port',
    async (port) => {
      await expect(parseCoordinatorOptions([`--port=${port}`])).rejects.toMatchObject({
        message: `--port: expected a whole number from 0 to 65535, got "${port}".`,
        exitCode: ExitCode.usage,
      });
    },
  );

  it('refuses keys that no experiment has, with the line of the file', async () => {
    const path = await file('e.yaml', 'data:\n  batchSise: 4\n');
    await expect(parseCoordinatorOptions([path])).rejects.toMatchObject({
      message: expect.stringMatching(/e\.yaml:2: .*batchSise/),
      exitCode: ExitCode.usage,
    });
  });

  it('ends the program for a flag that does not exist', async () => {
    const exit = vi.spyOn(process, 'exit').mockImplementation((code) => {
      throw new Error(`exit ${code}`);
    });
    const said = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    await expect(parseCoordinatorOptions(['--prot', '1'])).rejects.toThrow(`exit ${ExitCode.usage}`);
    expect(exit).toHaveBeenCalledOnce();
    expect(String(said.mock.calls[0]![0])).toContain("unknown option '--prot'");
  });

  it('takes bounds that leave room for the peers of the experiment', async () => {
    const parse = (...flags: string[]) => parseCoordinatorOptions(['--peers', '3xmlp', ...flags]);
    expect(await parse('--max-peers', '3', '--max-memory', '2GiB')).toMatchObject({
      ...{ maxPeers: 3, maxMemoryBytes: 2 ** 31 },
    });
    const { maxPeers, maxMemoryBytes } = await parse();
    expect(maxPeers).toBe(70);
    expect(maxMemoryBytes).toBeGreaterThan(2 ** 27);
    await expect(parse('--max-peers', '2')).rejects.toThrow(
      '--max-peers: expected a whole number of at least 3, the peers of the experiment, got "2".',
    );
    await expect(parse('--max-memory', '2')).rejects.toThrow(
      '--max-memory: expected a size such as 64MiB or 2GiB, got "2".',
    );
  });
});
