import { createPublicKey, verify } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { parsePeerOptions } from '../../peer/options.ts';
import { ExitCode, UsageError } from '../../src/errors.ts';
import { fixture } from '../support/certificates.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';

beforeEach(() => {
  for (const name of Object.keys(process.env)) {
    if (name.startsWith('CODISTILL_')) vi.stubEnv(name, undefined);
  }
});

afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

const URL_FLAGS = ['--coordinator', 'ws://127.0.0.1:7070'];
const parse = (...flags: string[]) => parsePeerOptions([...URL_FLAGS, ...flags]);

async function tokenFile(text: string): Promise<string> {
  const file = join(await temporaryFolder(), 'token');
  writeFileSync(file, text);
  return file;
}

/** Expects a wrong usage that commander finds: the text on stderr, and the exit code. */
function expectUsage(flags: readonly string[], text: RegExp): void {
  let written = '';
  vi.spyOn(process.stderr, 'write').mockImplementation((chunk) => {
    written += chunk;
    return true;
  });
  const exit = vi.spyOn(process, 'exit').mockImplementation((code) => {
    throw new Error(`exit ${code}`);
  });
  expect(() => parsePeerOptions(flags)).toThrow(`exit ${ExitCode.usage}`);
  expect(exit).toHaveBeenCalled();
  expect(written).toMatch(text);
}

describe('the options of a peer', () => {
  it('have a default for all but the coordinator', () => {
    expect(parse()).toEqual({
      coordinator: 'ws://127.0.0.1:7070/ws',
      token: null,
      tls: { minVersion: 'TLSv1.2', rejectUnauthorized: true },
      identity: null,
      name: undefined,
      model: undefined,
      role: 'student',
      weights: undefined,
      backend: 'auto',
      dataDir: undefined,
      download: false,
      dir: undefined,
      startFromBest: false,
      keepWeights: false,
      patienceMs: 30_000,
      logLevel: 'info',
    });
    expectUsage([], /--coordinator/);
  });

  it('begin with the weights of the best, and keep its own, only where that is asked for', () => {
    expect(parse('--start-from-best', '--keep-weights')).toMatchObject({
      startFromBest: true,
      keepWeights: true,
    });
    vi.stubEnv('CODISTILL_START_FROM_BEST', '1');
    vi.stubEnv('CODISTILL_KEEP_WEIGHTS', 'false');
    expect(parse()).toMatchObject({ startFromBest: true, keepWeights: false });
  });

  it.each([
    ['ws://host:7070', 'ws://host:7070/ws'],
    ['wss://host/', 'wss://host/ws'],
    ['ws://[::1]:7070', 'ws://[::1]:7070/ws'],
    ['wss://host/behind/a/proxy', 'wss://host/behind/a/proxy'],
  ])('take the address %s as %s', (given, expected) => {
    expect(parse('--coordinator', given).coordinator).toBe(expected);
  });

  it.each(['http://host:7070', 'host:7070', '127.0.0.1', '', 'ws://', 'ws://host/#part'])(
    'refuse the address "%s"',
    (given) => {
      expect(() => parse('--coordinator', given)).toThrow(
        new UsageError(`--coordinator: expected an address such as ws://127.0.0.1:7070, got "${given}".`),
      );
    },
  );

  it.each(['lab secret\n', '# ours\nlab secret', 'lab secret\nhome other\n'])(
    'read the first token of %j',
    async (text) => {
      const file = await tokenFile(text);
      expect(parse('--token-file', file)).toMatchObject({
        token: { name: 'lab', secret: 'secret' },
        tokenFile: file,
      });
    },
  );

  it('refuse a token file that is empty or not there', async () => {
    const empty = await tokenFile('\n');
    const absent = join(await temporaryFolder(), 'none');
    expect(() => parse('--token-file', empty)).toThrow(/^--token-file .*: expected a token, got nothing/);
    expect(() => parse('--token-file', absent)).toThrow(UsageError);
  });

  it('make a private key that only its owner may read, and take it the next time', async () => {
    const file = join(await temporaryFolder(), 'identity');
    const made = parse('--identity-file', file).identity!;
    expect(made.publicKey).toHaveLength(32);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(parse('--identity-file', file).identity!.publicKey).toEqual(made.publicKey);
    const text = Uint8Array.of(1, 2, 3);
    const key = createPublicKey(readFileSync(file));
    expect(verify(null, text, key, made.sign(text))).toBe(true);
  });

  it('refuse a private key that is none, or of another kind', async () => {
    const wrong = (text: string) => tokenFile(text).then((file) => () => parse('--identity-file', file));
    expect(await wrong('secret')).toThrow(/^--identity-file .*: expected a private key as PEM/);
    const elliptic = readFileSync(fixture('key.pem'), 'utf8');
    expect(await wrong(elliptic)).toThrow(
      /^--identity-file .*: expected an Ed25519 key, got one of type ec\.$/,
    );
    expect(() => parse('--identity-file', '/nowhere/identity')).toThrow(/ENOENT/);
  });

  it('read what belongs to an encrypted address, and refuse it with another', async () => {
    const tls = [
      '--tls-ca',
      fixture('ca.pem'),
      '--tls-cert',
      fixture('client.pem'),
      '--tls-key',
      fixture('key.pem'),
    ];
    expect(parse('--coordinator', 'wss://host', ...tls).tls).toEqual({
      ca: readFileSync(fixture('ca.pem')),
      cert: readFileSync(fixture('client.pem')),
      key: readFileSync(fixture('key.pem')),
      minVersion: 'TLSv1.2',
      rejectUnauthorized: true,
    });
    expect(() => parse(...tls)).toThrow(
      new UsageError(
        '--tls-ca, --tls-cert, --tls-key: expected a wss:// address with them, got ws://127.0.0.1:7070/ws.',
      ),
    );
    const secure = ['--coordinator', 'wss://host'];
    expect(() => parse(...secure, ...tls.slice(2, 4))).toThrow(/^expected --tls-cert and --tls-key together/);
    expect(() => parse(...secure, '--tls-ca', fixture('key.pem'))).toThrow(
      /^--tls-ca .*: expected a certificate/,
    );
  });

  it.each([
    ['500ms', 500],
    ['1.5s', 1_500],
    ['2m', 120_000],
  ])('take a patience of %s', (given, expected) => {
    expect(parse('--patience', given).patienceMs).toBe(expected);
  });

  it.each(['30', 'soon', '-1s', '1h'])('refuse a patience of "%s"', (given) => {
    expectUsage(
      [...URL_FLAGS, `--patience=${given}`],
      /--patience.*Expected a duration such as 30s or 2m\./s,
    );
  });

  it('make it a teacher, which has weights', () => {
    expect(parse('--role', 'teacher', '--weights', 'runs/before')).toMatchObject({
      role: 'teacher',
      weights: 'runs/before',
    });
    expect(() => parse('--role', 'teacher')).toThrow(
      new UsageError('--role teacher: expected --weights, a safetensors file or a run folder.'),
    );
    for (const flag of ['--start-from-best', '--keep-weights']) {
      expect(() => parse('--role', 'teacher', '--weights', 'runs/before', flag)).toThrow(
        new UsageError(
          `${flag}: expected of a student, as a teacher has the weights of --weights and sends none.`,
        ),
      );
    }
    expectUsage([...URL_FLAGS, '--role', 'judge'], /judge.*Allowed choices are student, teacher/s);
  });

  it('give a student the weights of the generation before', () => {
    expect(parse('--weights', 'runs/before')).toMatchObject({ role: 'student', weights: 'runs/before' });
  });

  it('refuse flags, backends and log levels that there are not', () => {
    expectUsage([...URL_FLAGS, '--nmae', 'a'], /--nmae/);
    expectUsage([...URL_FLAGS, '--backend', 'abacus'], /abacus/);
    expectUsage([...URL_FLAGS, '--log-level', 'loud'], /loud/);
  });

  it('come from the environment too, but flags win', () => {
    vi.stubEnv('CODISTILL_COORDINATOR', 'ws://elsewhere:1');
    vi.stubEnv('CODISTILL_PATIENCE', '5s');
    vi.stubEnv('CODISTILL_NAME', 'from-env');
    expect(parsePeerOptions(['--name', 'from-flag'])).toMatchObject({
      coordinator: 'ws://elsewhere:1/ws',
      patienceMs: 5_000,
      name: 'from-flag',
    });
  });
});
