import { afterEach, describe, expect, it, vi } from 'vitest';
import { askChild } from '../../src/backend/childProbe.ts';

afterEach(() => void vi.unstubAllEnvs());

/** Tries `program`; a minute is longer than any of these takes on a busy machine. */
const ask = (
  program: string,
  {
    args = [],
    env = {},
    limitMs = 60_000,
  }: { args?: string[]; env?: Record<string, string>; limitMs?: number } = {},
) => askChild({ name: 'the library', program, args, env, limitMs });

/** Says `lines` on stderr, then ends by `signal`. */
const dying = (signal: string, ...lines: string[]): string =>
  `require('node:fs').writeSync(2, ${JSON.stringify(lines.map((line) => `${line}\n`).join(''))});
   process.kill(process.pid, '${signal}');
   setInterval(() => {}, 1000);`;

const refused = (reason: string, remedy: unknown = null) => ({ usable: false, reason, remedy });

/** What TensorFlow 2.9 says on a processor without AVX, among other lines. */
const FATAL =
  "2024-05-02 10:11:12.131415: F tensorflow/core/platform/cpu_feature_guard.cc:38] The TensorFlow library was compiled to use AVX instructions, but these aren't available on your machine.";
const HARMLESS =
  '2024-05-02 10:11:12.000000: I tensorflow/core/util/util.cc:169] oneDNN custom operations are on.';

describe('a child that is asked', () => {
  it('gives the JSON of its last line, and all that it said on stderr', async () => {
    const program = `
      console.error('one');
      console.log('{"version": "of another line"}');
      console.log(JSON.stringify({ version: '2.9.1', gpu: true }));
      console.error('two');`;
    expect(await ask(program)).toEqual({ answer: { version: '2.9.1', gpu: true }, stderr: 'one\ntwo\n' });
  });

  it('has its arguments from the second place on, and variables that count more than this process’s', async () => {
    vi.stubEnv('CODISTILL_TEST_KEPT', 'kept');
    vi.stubEnv('CODISTILL_TEST_CHANGED', 'old');
    const program = `
      const { CODISTILL_TEST_KEPT: kept, CODISTILL_TEST_CHANGED: changed } = process.env;
      console.log(JSON.stringify({ args: process.argv.slice(1), kept, changed }));`;
    const asked = ask(program, { args: ['a b', '--c'], env: { CODISTILL_TEST_CHANGED: 'new' } });
    expect(await asked).toMatchObject({ answer: { args: ['a b', '--c'], kept: 'kept', changed: 'new' } });
  });

  it('may say two megabytes on stderr, as a library does that is asked to log everything', async () => {
    const program = `
      require('node:fs').writeSync(1, JSON.stringify({ version: '2.9.1' }));
      process.stderr.write(('x'.repeat(127) + '\\n').repeat(16384));`;
    expect(await ask(program)).toMatchObject({ answer: { version: '2.9.1' } });
  });
});

describe('the end of a child', () => {
  it('by an instruction that the processor lacks is told as that, with what to do', async () => {
    expect(await ask(dying('SIGILL', HARMLESS))).toEqual(
      refused(
        'the library uses instructions that this processor lacks, such as AVX (SIGILL)',
        'use another backend here, or a library that was built for this processor',
      ),
    );
  });

  it('by its own decision is told with the fatal line, wherever among the others it is', async () => {
    expect(await ask(dying('SIGABRT', HARMLESS, FATAL, HARMLESS, '', HARMLESS))).toEqual(
      refused(`the library gave up by itself (SIGABRT): ${FATAL.slice(0, -1)}`),
    );
  });

  it('by an exception of C++ is told with it', async () => {
    const thrown = "terminate called after throwing an instance of 'std::bad_alloc'";
    expect(await ask(dying('SIGABRT', HARMLESS, thrown, '  what():  std::bad_alloc'))).toEqual(
      refused(`the library gave up by itself (SIGABRT): ${thrown}`),
    );
  });

  it('is told with the fatal line in the form that newer TensorFlow writes it, not with the trace below', async () => {
    const fatal =
      'F0000 00:00:1731862554.244962    8139 cuda_executor.cc:1101] Check failed: device_ordinal >= 0';
    const trace = ['*** Check failure stack trace: ***', '    @     0x7f0123456789  absl::log_internal'];
    expect(await ask(dying('SIGABRT', HARMLESS, fatal, ...trace))).toEqual(
      refused(`the library gave up by itself (SIGABRT): ${fatal}`),
    );
  });

  it('by `abort` itself, in silence, is told without words of its own', async () => {
    expect(await ask('process.abort()')).toMatchObject({
      usable: false,
      reason: expect.stringMatching(/^the library gave up by itself \(SIGABRT\)/),
    });
  });

  it.each(['SIGSEGV', 'SIGBUS'])('by a crash is told as one, with the last words: %s', async (signal) => {
    expect(await ask(dying(signal, HARMLESS, '', 'loading libcuda.so.1.', ''))).toEqual(
      refused(`the library crashed (${signal}): loading libcuda.so.1`),
    );
    expect(await ask(dying(signal))).toEqual(refused(`the library crashed (${signal})`));
  });

  it('by somebody else, such as a system out of memory, is not taken for a hang', async () => {
    expect(await ask(dying('SIGKILL'))).toEqual(refused('the library ended its process by SIGKILL'));
  });

  it('by an exit code is told with the code and the last words', async () => {
    const program = `console.error('first\\nno licence. '); process.exit(3);`;
    expect(await ask(program)).toEqual(refused('the library ended its process by exit code 3: no licence'));
  });

  it.each([
    ['in silence', ''],
    ['after half an answer', `process.stdout.write('{"version": ');`],
    ['with a line after the answer', `console.log('{"version": "1"}\\nbye');`],
  ])('without an answer is told: %s', async (_, program) => {
    expect(await ask(program)).toEqual(refused('the library ended its process without an answer'));
  });

  it('with an error for an answer is told with the error’s first line', async () => {
    const program = `console.log(JSON.stringify({ error: 'libcudart.so.11.0: cannot open.\\nRequire stack:' }));`;
    expect(await ask(program)).toEqual(refused('the library does not load: libcudart.so.11.0: cannot open'));
  });

  it.each([
    ['busy', 'for (;;);'],
    ['waiting', 'setInterval(() => {}, 1000);'],
    ['deaf', `process.on('SIGTERM', () => {}); setInterval(() => {}, 1000);`],
  ])('comes after the limit when it hangs, and is told as that, with what to do: %s', async (_, program) => {
    expect(await ask(program, { limitMs: 1_500 })).toEqual(
      refused(
        'the library did not answer within 1.5 s',
        "see whether the GPU's own tools answer, such as nvidia-smi; restart its driver if not",
      ),
    );
  });
});
