import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ExitCode } from '../../src/errors.ts';
import { temporaryFolder } from '../support/temporaryFolder.ts';
import { afterwards, runCli, TINY_DATA } from './support.ts';

describe('wrong input', () => {
  it.each([
    [
      ['run', '--peers', 'resnet9'],
      /--peers: Unknown model "resnet9"; did you mean "resnet\d+"\? Known: mlp, cnn-s/,
    ],
    [['run', '--peers', '2x./absent.js'], /there is no file \.\/absent\.js/],
    [
      ['run', '--dataset', 'mnist'],
      /--dataset: .*expected fashion-mnist, cifar-10 or cifar-100, got "mnist"/,
    ],
    [
      ['run', '--method', 'dmll'],
      /--method: unknown method "dmll"; did you mean "dml"\? Known: independent, .*dml, .*self-ema/,
    ],
    [['run', '--codec', 'int4'], /--codec: .*expected float16 or float32, got "int4"/],
    [
      ['run', '--backend', 'cuda'],
      /'--backend <name>' argument 'cuda' is invalid. Allowed choices are auto, node, tfjs-node-gpu, webgpu, tfjs-node, wasm, cpu/,
    ],
    [['run', '--lable-noise', '0.3'], /unknown option '--lable-noise'\s+\(Did you mean --label-noise\?\)/],
    [['run', 'quickstrat'], /Unknown experiment "quickstrat"; did you mean "quickstart"\?/],
    [['run', './absent.yaml'], /There is no experiment file "\.\/absent\.yaml"/],
    [
      ['self', '--method', 'dml', '--compare', ''],
      /"dml" learns from other peers: use it with codistill run/,
    ],
    [['coordinator', '--host', '0.0.0.0'], /expected a token to protect an address that others can reach/],
    [['coordinator', '--port', '70000'], /expected a whole number from 0 to 65535, got "70000"/],
    [
      ['peer', '--coordinator', 'http://x'],
      /expected an address such as ws:\/\/127\.0\.0\.1:7070, got "http:\/\/x"/,
    ],
    [
      ['peer', '--coordinator', 'ws://x', '--role', 'teacher'],
      /--role teacher: expected --weights, a safetensors file or a run folder/,
    ],
    [
      ['run', '--method', './absent.js'],
      /There is no method module \.\/absent\.js, from the folder of this command/,
    ],
    [
      ['run', '--method', 'at', '--mode', 'checkpoint'],
      /"at" needs more of other peers than copies of them give, the mean of their probabilities: use exchange\.mode lockstep/,
    ],
    // Methods that compare samples with each other have whole batches, always.
    [
      ['run', '--method', 'sp', '--train-size', '256', '--batch-size', '300'],
      /--batch-size: expected at most data\.trainSize \(256\), got 300/,
    ],
    [['methods', 'dmll'], /Unknown method "dmll"; did you mean "dml"\? Known: independent, /],
    [['peer'], /required option '--coordinator <url>' not specified/],
    [['trian'], /unknown command 'trian'\s+\(Did you mean train|unknown command 'trian'/],
  ] as const)('%j is refused before anything starts', async (args, message) => {
    const folder = await temporaryFolder();
    const { code, stderr } = await runCli(args, folder);
    expect(stderr).toMatch(message);
    expect(code).toBe(ExitCode.usage);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('in a file is told with its line, all of it at once', async () => {
    const folder = await temporaryFolder();
    writeFileSync(join(folder, 'mine.yaml'), 'data:\n  lableNoise: 0.3\ntraining:\n  epochs: 0\n');
    const { code, stderr } = await runCli(['run', './mine.yaml'], folder);
    expect(code).toBe(ExitCode.usage);
    expect(stderr).toContain('mine.yaml:2: unknown key "data.lableNoise"; did you mean "labelNoise"?');
    expect(stderr).toContain('mine.yaml:4: training.epochs: expected a whole number of at least 1, got 0');
  });

  it('in an environment variable is told with the variable', async () => {
    const { code, stderr } = await runCli(['run'], await temporaryFolder(), { CODISTILL_EPOCHS: 'many' });
    expect(code).toBe(ExitCode.usage);
    expect(stderr).toContain('CODISTILL_EPOCHS: expected a whole number of at least 1, got "many"');
  });

  it('of a run folder that holds a run does not touch that run', async () => {
    const folder = await temporaryFolder();
    writeFileSync(join(folder, 'metrics.ndjson'), '{}\n');
    const { code, stderr } = await runCli(['run', '--dir', folder], folder);
    expect(code).toBe(ExitCode.usage);
    expect(stderr).toContain('it holds a run');
    expect(readdirSync(folder)).toEqual(['metrics.ndjson']);
  });
});

describe('what only the peers can see to be wrong', () => {
  it.each([
    [
      'an option out of its range',
      ['2xmlp', 'kd', '--options', 'temperature=-1'],
      /Options of kd: temperature: Too small: expected number to be >0, got -1\. Known: temperature\./,
    ],
    [
      'a model without the layers',
      ['2xmlp', 'at'],
      /Options of at: layers: the student has no stages to compare\. It has embedding\. Choose another model, or name layers that hold maps\./,
    ],
    [
      'feature maps that are not allowed',
      ['2xcnn-s', 'fitnet'],
      /needs whole feature maps \(stage2\): as large as those of cnn-s-\d, 802\.8 kB a batch\. Allow it with exchange\.allowFeatureMaps \(--allow-feature-maps true\)\./,
    ],
    [
      'features of several teachers',
      ['3xcnn-s', 'at'],
      /features can be compared with those of one teacher, and here are 2: give the run two students, or one teacher/,
    ],
    // These two know each other's layers only when all are there.
    [
      'networks that do not fit each other',
      ['cnn-s,mlp', 'okddip'],
      /okddip: peers need embeddings of one width, these have \d+ and \d+\./,
    ],
  ] as const)(
    'is refused before training, with what to do: %s',
    async (_, [peers, method, ...flags], message) => {
      const folder = await temporaryFolder();
      const given = ['--peers', peers, '--method', method, ...flags, '--backend', 'wasm', ...TINY_DATA];
      const { code, stderr } = await runCli(['run', ...given, '--compare', '', '--dir', 'run'], folder);
      expect(stderr).toMatch(message);
      expect([ExitCode.usage, ExitCode.refused]).toContain(code);
      const metrics = join(folder, 'run', 'metrics.ndjson');
      expect(existsSync(metrics) ? readFileSync(metrics, 'utf8') : '').toBe('');
    },
  );
});

describe('what is not there', () => {
  it('is named with what to do: a dataset', async () => {
    const folder = await temporaryFolder();
    const { code, stderr } = await runCli(['run', '--dataset', 'cifar-10'], folder, {
      XDG_CACHE_HOME: folder,
    });
    expect(code).toBe(ExitCode.data);
    expect(stderr).toMatch(/cifar-10 is not on this machine\. Get it with --download, or fetch https:\/\//);
  });

  it('is named with what to do: the weights of a teacher, before another one is trained', async () => {
    const folder = await temporaryFolder();
    const teachers = '{ model: mlp, role: teacher }, { model: mlp, role: teacher, weights: ./absent }';
    const text = `distill: { method: kd }\npeers: [{ model: mlp }, ${teachers}]\n`;
    writeFileSync(join(folder, 'offline.yaml'), text);
    const { code, stderr } = await runCli(['run', './offline.yaml'], folder);
    expect(code).toBe(ExitCode.data);
    expect(stderr).toContain(
      'peers[].weights: there is no file or run folder ./absent, from the folder of this command.',
    );
    expect(readdirSync(folder)).toEqual(['offline.yaml']);
  });

  it('is named with what to do: a free port', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    afterwards(() => server.close());
    const { port } = server.address() as AddressInfo;
    const { code, stderr } = await runCli(['coordinator', '--port', String(port)], await temporaryFolder());
    expect(code).toBe(ExitCode.listen);
    expect(stderr).toContain(`Could not listen on 127.0.0.1:${port}: another program listens there`);
  });

  it('is named with what to do: a backend', async () => {
    const args = ['run', '--backend', 'tfjs-node-gpu', ...TINY_DATA];
    const { code, stderr } = await runCli(args, await temporaryFolder(), { PATH: process.env.PATH });
    expect(code).toBe(ExitCode.backend);
    expect(stderr).toMatch(/Backend "tfjs-node-gpu" cannot be used: /);
  });

  it('is named with what to do: the weights of a run', async () => {
    const folder = await temporaryFolder();
    const { code, stderr } = await runCli(['eval', folder], folder);
    expect(code).toBe(ExitCode.data);
    expect(stderr).toContain('expected a run folder with peers/<name>/weights.safetensors, found none');
  });
});
