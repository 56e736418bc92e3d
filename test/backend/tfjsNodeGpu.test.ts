import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { probePackage } from '../../src/backend/tfjsNodeGpu.ts';

const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

/** A package folder with an addon file, whose main module is `source`. */
function packageOf(source: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'codistill-native-'));
  folders.push(folder);
  mkdirSync(join(folder, 'lib', 'napi-v8'), { recursive: true });
  writeFileSync(join(folder, 'lib', 'napi-v8', 'tfjs_binding.node'), '');
  writeFileSync(join(folder, 'package.json'), '{"main": "index.js"}');
  writeFileSync(join(folder, 'index.js'), source);
  return folder;
}

const working = (gpu: boolean) => `
  exports.add = () => ({ dataSync() {} });
  exports.backend = () => ({ isUsingGpuDevice: ${gpu} });
`;

describe('the probe of the native package', () => {
  it('accepts one that computes on a GPU, whatever it prints', async () => {
    const folder = packageOf(`console.log('{"gpu": false}\\n2024-01-01 I tensorflow');${working(true)}`);
    expect(await probePackage(folder)).toEqual({ usable: true });
  });

  it('offers it the utilities that newer Node.js lacks, and quiet logs', async () => {
    const folder = packageOf(`
      const util = require('util');
      if (!util.isNullOrUndefined(null) || !util.isArray([])) throw new Error('no utilities');
      if (process.env.TF_FORCE_GPU_ALLOW_GROWTH !== 'true') throw new Error('no growth');
      if (process.env.TF_CPP_MIN_LOG_LEVEL !== '2') throw new Error('loud');
      ${working(true)}`);
    expect(await probePackage(folder)).toEqual({ usable: true });
  });

  const refusals: [behaviour: string, source: string, reason: RegExp][] = [
    ['one that runs on the processor', working(false), /^TensorFlow found no GPU/],
    [
      'one that does not load',
      `throw new Error('libcudart.so.11.0: cannot open\\nmore');`,
      /does not load: libcudart.so.11.0: cannot open$/,
    ],
    [
      'one that cannot compute',
      `${working(true)}exports.add = () => { throw new Error('invalid PTX'); };`,
      /invalid PTX$/,
    ],
    [
      'one that crashes',
      `process.kill(process.pid, 'SIGILL'); setInterval(() => {}, 1000);`,
      /ended its process by SIGILL$/,
    ],
    ['one that ends the process in silence', 'process.exit(0);', /without an answer$/],
    [
      'one that ends the process',
      `console.error('no AVX\\nmore'); process.exit(3);`,
      /ended its process with exit code 3: no AVX$/,
    ],
  ];
  for (const [behaviour, source, reason] of refusals) {
    it(`refuses ${behaviour}`, async () => {
      expect(await probePackage(packageOf(source))).toEqual({
        usable: false,
        reason: expect.stringMatching(reason),
      });
    });
  }

  it('refuses one that hangs, after the time limit', async () => {
    const probe = await probePackage(packageOf('for (;;);'), 500);
    expect(probe).toEqual({ usable: false, reason: expect.stringContaining('did not start within 0.5 s') });
  });

  it('refuses one without its addon, without running it', async () => {
    const folder = packageOf('for (;;);');
    rmSync(join(folder, 'lib'), { recursive: true });
    expect(await probePackage(folder)).toEqual({
      usable: false,
      reason: expect.stringContaining('without its native addon'),
    });
  });
});
