import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { inspectPackage } from '../../../src/backend/tensorflow/inspect.ts';
import { addonOf, environmentFor, PACKAGE } from '../../../src/backend/tensorflow/package.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';

const VARIABLES = [
  'CUDA_VISIBLE_DEVICES',
  'CUDA_DEVICE_ORDER',
  'TF_CPP_MIN_LOG_LEVEL',
  'TF_FORCE_GPU_ALLOW_GROWTH',
];

/** A process whose user has set none of the variables, whoever runs the tests. */
beforeEach(() => {
  for (const name of VARIABLES) vi.stubEnv(name, undefined);
});
afterEach(() => void vi.unstubAllEnvs());

/** A package folder with an addon file, whose main module is `source`. */
async function packageOf(source: string): Promise<string> {
  const folder = await temporaryFolder();
  mkdirSync(dirname(addonOf(folder)), { recursive: true });
  writeFileSync(addonOf(folder), '');
  writeFileSync(join(folder, 'package.json'), '{"main": "index.js"}');
  writeFileSync(join(folder, 'index.js'), source);
  return folder;
}

/** A package that loads and computes. @param version JavaScript for the version of its TensorFlow */
const working = (gpu: boolean, version = `'2.9.1'`) => `
  exports.add = () => ({ dataSync() {} });
  exports.backend = () => ({ isUsingGpuDevice: ${gpu}, binding: { TF_Version: ${version} } });
`;

describe('the probe of the native package', () => {
  it('accepts one that computes on a GPU, whatever it prints', async () => {
    const folder = await packageOf(
      `console.log('{"gpu": false}\\n2024-01-01 I tensorflow'); console.error('failed call to cuInit: no');${working(true)}`,
    );
    expect(await inspectPackage(folder)).toEqual({ version: '2.9.1', noGpu: null });
  });

  it('accepts one that computes on the processor, and tells why, from what it said when it was loaded', async () => {
    const said = 'failed call to cuInit: CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected';
    const folder = await packageOf(`console.error('E cuda_driver.cc:271] ${said}');${working(false)}`);
    expect(await inspectPackage(folder, { gpu: '3' })).toEqual({
      version: '2.9.1',
      noGpu: {
        usable: false,
        reason: 'CUDA does not start with card 3: CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected',
        remedy: expect.stringContaining('nvidia-smi'),
      },
    });
  });

  it('offers it the utilities that newer Node.js lacks', async () => {
    const folder = await packageOf(`
      const util = require('util');
      if (!util.isNullOrUndefined(null) || !util.isArray([])) throw new Error('no utilities');
      ${working(true)}`);
    expect(await inspectPackage(folder)).toEqual({ version: '2.9.1', noGpu: null });
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
      /does not load: invalid PTX$/,
    ],
    [
      'one that crashes',
      `process.kill(process.pid, 'SIGSEGV'); setInterval(() => {}, 1000);`,
      /crashed \(SIGSEGV\)$/,
    ],
    ['one that ends the process in silence', 'process.exit(0);', /without an answer$/],
    [
      'one that ends the process',
      `console.error('more\\nno AVX'); process.exit(3);`,
      /ended its process by exit code 3: no AVX$/,
    ],
  ];
  for (const [behaviour, source, reason] of refusals) {
    it(`refuses ${behaviour}`, async () => {
      const found = await inspectPackage(await packageOf(source));
      expect(found).toEqual({ usable: false, reason: expect.stringMatching(reason), remedy: null });
      expect(found).toHaveProperty('reason', expect.stringContaining(`${PACKAGE} `));
    });
  }

  it('refuses one that hangs, after the time limit', async () => {
    const found = await inspectPackage(await packageOf('for (;;);'), { limitMs: 1_500 });
    expect(found).toMatchObject({ usable: false, reason: `${PACKAGE} did not answer within 1.5 s` });
  });

  it('refuses one without its addon, without running it', async () => {
    const folder = await packageOf('for (;;);');
    rmSync(join(folder, 'lib'), { recursive: true });
    expect(await inspectPackage(folder)).toEqual({
      usable: false,
      reason: `${PACKAGE} is installed without its native addon`,
      remedy: 'codistill install-tensorflow --pip',
    });
  });
});

describe('the variables of TensorFlow', () => {
  /** What the package finds in the probe's process, in the place of its version. */
  async function seenInProbe(gpu?: string): Promise<Record<string, string>> {
    const values = `JSON.stringify(Object.fromEntries(${JSON.stringify(VARIABLES)}.map((name) => [name, process.env[name]])))`;
    const folder = await packageOf(working(true, values));
    const found = (await inspectPackage(folder, gpu === undefined ? {} : { gpu })) as { version: string };
    return JSON.parse(found.version);
  }

  it('make a probe say everything, number the cards as nvidia-smi does, and leave memory to others', async () => {
    expect(await seenInProbe()).toEqual({
      CUDA_DEVICE_ORDER: 'PCI_BUS_ID',
      TF_CPP_MIN_LOG_LEVEL: '0',
      TF_FORCE_GPU_ALLOW_GROWTH: 'true',
    });
  });

  it.each(['1', 'GPU-8eaaebb8-bb64-8489-fda2-62256e821983', '-1'])(
    'show it one card only: %s',
    async (gpu) => {
      vi.stubEnv('CUDA_VISIBLE_DEVICES', '0,1,2');
      expect(await seenInProbe(gpu)).toMatchObject({ CUDA_VISIBLE_DEVICES: gpu });
    },
  );

  it('are the user’s where the user has set them, but for what a probe has to say', async () => {
    vi.stubEnv('CUDA_VISIBLE_DEVICES', '2');
    vi.stubEnv('CUDA_DEVICE_ORDER', 'FASTEST_FIRST');
    vi.stubEnv('TF_FORCE_GPU_ALLOW_GROWTH', 'false');
    vi.stubEnv('TF_CPP_MIN_LOG_LEVEL', '3');
    expect(await seenInProbe()).toEqual({
      CUDA_VISIBLE_DEVICES: '2',
      CUDA_DEVICE_ORDER: 'FASTEST_FIRST',
      TF_CPP_MIN_LOG_LEVEL: '0',
      TF_FORCE_GPU_ALLOW_GROWTH: 'false',
    });
    expect(environmentFor()).toEqual({
      CUDA_DEVICE_ORDER: 'FASTEST_FIRST',
      TF_CPP_MIN_LOG_LEVEL: '3',
      TF_FORCE_GPU_ALLOW_GROWTH: 'false',
    });
  });

  it('make it quiet when it is loaded for good', () => {
    expect(environmentFor('0')).toEqual({
      CUDA_VISIBLE_DEVICES: '0',
      CUDA_DEVICE_ORDER: 'PCI_BUS_ID',
      TF_CPP_MIN_LOG_LEVEL: '2',
      TF_FORCE_GPU_ALLOW_GROWTH: 'true',
    });
  });
});
