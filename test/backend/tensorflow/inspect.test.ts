import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { inspectPackage } from '../../../src/backend/tensorflow/inspect.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';

/** A package folder with an addon file, whose main module is `source`. */
async function packageOf(source: string): Promise<string> {
  const folder = await temporaryFolder();
  mkdirSync(join(folder, 'lib', 'napi-v8'), { recursive: true });
  writeFileSync(join(folder, 'lib', 'napi-v8', 'tfjs_binding.node'), '');
  writeFileSync(join(folder, 'package.json'), '{"main": "index.js"}');
  writeFileSync(join(folder, 'index.js'), source);
  return folder;
}

const working = (gpu: boolean) => `
  exports.add = () => ({ dataSync() {} });
  exports.backend = () => ({ isUsingGpuDevice: ${gpu}, binding: { TF_Version: '2.9.1' } });
`;

describe('the probe of the native package', () => {
  it('tells that one computes on the processor', async () => {
    const found = await inspectPackage(await packageOf(working(false)));
    expect(found).toEqual({ gpu: false, version: '2.9.1' });
  });

  it('accepts one that computes on a GPU, whatever it prints', async () => {
    const folder = await packageOf(
      `console.log('{"gpu": false}\\n2024-01-01 I tensorflow');${working(true)}`,
    );
    expect(await inspectPackage(folder)).toEqual({ gpu: true, version: '2.9.1' });
  });

  it('offers it the utilities that newer Node.js lacks, and quiet logs', async () => {
    const folder = await packageOf(`
      const util = require('util');
      if (!util.isNullOrUndefined(null) || !util.isArray([])) throw new Error('no utilities');
      if (process.env.TF_FORCE_GPU_ALLOW_GROWTH !== 'true') throw new Error('no growth');
      if (process.env.TF_CPP_MIN_LOG_LEVEL !== '2') throw new Error('loud');
      ${working(true)}`);
    expect(await inspectPackage(folder)).toEqual({ gpu: true, version: '2.9.1' });
  });

  const refusals: [behaviour: string, source: string, reason: RegExp][] = [
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
      const found = await inspectPackage(await packageOf(source));
      expect(found).toEqual({ reason: expect.stringMatching(reason) });
    });
  }

  it('refuses one that hangs, after the time limit', async () => {
    const probe = await inspectPackage(await packageOf('for (;;);'), { limitMs: 500 });
    expect(probe).toEqual({ reason: expect.stringContaining('did not start within 0.5 s') });
  });

  it('refuses one without its addon, without running it', async () => {
    const folder = await packageOf('for (;;);');
    rmSync(join(folder, 'lib'), { recursive: true });
    const found = await inspectPackage(folder);
    expect(found).toEqual({ reason: expect.stringContaining('without its native addon') });
  });
});
