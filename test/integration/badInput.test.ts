import { readdirSync, writeFileSync } from 'node:fs';
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
