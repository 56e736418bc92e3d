import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { link, removeLink } from '../../../src/backend/tensorflow/link.ts';
import { addonOf } from '../../../src/backend/tensorflow/package.ts';
import { BackendError } from '../../../src/errors.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';

const compiler = process.env.CXX;
afterEach(() => {
  if (compiler === undefined) delete process.env.CXX;
  else process.env.CXX = compiler;
});

/** A package whose addon, as it came, is the text `stock`; it works just when its addon is the text `works`. */
async function stockPackage(): Promise<string> {
  const folder = await temporaryFolder();
  mkdirSync(dirname(addonOf(folder)), { recursive: true });
  writeFileSync(addonOf(folder), 'stock');
  writeFileSync(join(folder, 'package.json'), '{"main": "index.js"}');
  const main = `
    const addon = require('fs').readFileSync(${JSON.stringify(addonOf(folder))}, 'utf8');
    if (addon !== 'works') throw new Error('it is ' + addon);
    exports.add = () => ({ dataSync() {} });
    exports.backend = () => ({ isUsingGpuDevice: false, binding: { TF_Version: '2.99.0' } });
  `;
  writeFileSync(join(folder, 'index.js'), main);
  return folder;
}

/** In the place of the compiler, a script that "compiles" to a text. */
async function compileTo(text: string): Promise<void> {
  const script = join(await temporaryFolder(), 'compiler');
  writeFileSync(script, `#!/bin/sh\nfor last; do :; done\nprintf '%s' '${text}' > "$last"\n`, {
    mode: 0o755,
  });
  process.env.CXX = script;
}

const library = { libraries: ['/nowhere/libtensorflow_cc.so.2'], include: '/nowhere/include' };
const addonIn = (folder: string): string => readFileSync(addonOf(folder), 'utf8');

describe('a link to TensorFlow', () => {
  it('takes the place of the stock addon, twice if asked to, and gives it back', async () => {
    const folder = await stockPackage();
    await compileTo('works');
    for (let times = 0; times < 2; times++) {
      expect(await link(library, folder)).toMatchObject({ tensorflow: '2.99.0', gpu: false });
      expect(addonIn(folder)).toBe('works');
    }
    expect(await removeLink(folder)).toMatchObject({ libraries: library.libraries });
    expect(addonIn(folder)).toBe('stock');
    expect(await removeLink(folder)).toBeNull();
  });

  it('that does not compute is not kept', async () => {
    const folder = await stockPackage();
    await compileTo('broken');
    await expect(link(library, folder)).rejects.toThrow('does not load: it is broken');
    expect(addonIn(folder)).toBe('stock');
  });

  it('is not made without a compiler, or one that fails', async () => {
    const folder = await stockPackage();
    process.env.CXX = '/nowhere/c++';
    await expect(link(library, folder)).rejects.toThrow(BackendError);
    await expect(link(library, folder)).rejects.toThrow('There is no C++ compiler "/nowhere/c++"');
    process.env.CXX = 'false';
    await expect(link(library, folder)).rejects.toThrow('could not be compiled');
    expect(addonIn(folder)).toBe('stock');
    expect(existsSync(`${addonOf(folder)}.building`)).toBe(false);
  });
});
