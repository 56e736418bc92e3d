import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { backends } from '../../../src/backend/registry.ts';
import { loadBackend } from '../../../src/backend/select.ts';
import type * as dawn from '../../../src/backend/webgpu/dawn.ts';
import { findAdapter } from '../../../src/backend/webgpu/findAdapter.ts';
import { BackendError } from '../../../src/errors.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';

/** Where the package is found; a test puts a made up one there. */
const place = vi.hoisted(() => ({ path: undefined as string | null | undefined }));
vi.mock('../../../src/backend/webgpu/dawn.ts', async (original) => {
  const real = await original<typeof dawn>();
  return { ...real, packagePath: () => (place.path === undefined ? real.packagePath() : place.path) };
});
afterEach(() => {
  place.path = undefined;
});

/** A module in the place of the package. */
async function packageOf(source: string): Promise<void> {
  place.path = join(await temporaryFolder(), 'index.mjs');
  writeFileSync(place.path, source);
}

interface FakeAdapter {
  readonly name: string;
  readonly software?: boolean;
}

/** Lists the adapters as Dawn does: in the error of a request for one that is not there. The last is preferred. */
const listing = (adapters: readonly FakeAdapter[]): string => `
  const adapters = ${JSON.stringify(adapters)};
  const list = adapters.map(({ name }) => "\\n * backend: 'vulkan', name: '" + name + "'").join('');
  const infoOf = ({ name, software }) => ({
    info: { device: name + ' device', description: name + ' driver', isFallbackAdapter: software === true },
  });
  export const create = (options) => ({
    async requestAdapter({ powerPreference }) {
      if (powerPreference !== 'high-performance') throw new Error('a slow one');
      console.error('Warning: asked for ' + options.join());
      const [wanted] = options.map((option) => option.replace('adapter=', ''));
      if (wanted === undefined) return adapters.length === 0 ? null : infoOf(adapters.at(-1));
      const found = adapters.find(({ name }) => name.includes(wanted));
      if (found) return infoOf(found);
      if (adapters.length === 0) return null;
      throw new Error('no suitable backends found\\nAvailable adapters:' + list);
    },
  });`;

describe('the probe of a WebGPU package', () => {
  it('finds the preferred adapter with its driver', async () => {
    await packageOf(listing([{ name: "Joe's GPU" }, { name: 'NVIDIA L4' }]));
    expect(await findAdapter()).toEqual({
      name: 'NVIDIA L4',
      device: 'NVIDIA L4 device',
      driver: 'NVIDIA L4 driver',
      software: false,
    });
  });

  it('finds the wanted adapter by number and name', async () => {
    await packageOf(
      listing([{ name: 'llvmpipe', software: true }, { name: "Joe's GPU" }, { name: 'NVIDIA L4' }]),
    );
    expect(await findAdapter('0')).toMatchObject({ name: "Joe's GPU" });
    expect(await findAdapter('l4')).toMatchObject({ name: 'NVIDIA L4' });
    expect(await findAdapter('llvm')).toMatchObject({ name: 'llvmpipe', software: true });
  });

  it('refuses software that was not named', async () => {
    await packageOf(listing([{ name: 'llvmpipe', software: true }]));
    expect(await findAdapter()).toMatchObject({
      usable: false,
      remedy: expect.stringMatching(/--gpu llvmpipe$/),
    });
  });

  it('explains that there is no adapter from what was said on stderr', async () => {
    await packageOf(listing([]));
    expect(await findAdapter()).toMatchObject({ usable: false, reason: 'no Vulkan driver shows a GPU' });
    await packageOf(
      `console.error("Warning: Couldn't load Vulkan: libvulkan.so.1: cannot open shared object file: No such file or directory");${listing([])}`,
    );
    expect(await findAdapter()).toMatchObject({ reason: 'the Vulkan loader is missing (libvulkan.so.1)' });
  });

  it.each([
    [
      'is not installed',
      null,
      "npm's package webgpu is not installed",
      /^npm install --no-save webgpu@\d+\.\d+\.\d+$/,
    ],
    [
      'does not load',
      `throw new Error('libX11.so.6: cannot open shared object file')`,
      "npm's package webgpu does not load: libX11.so.6: cannot open shared object file",
      null,
    ],
    [
      'crashes',
      `process.kill(process.pid, 'SIGSEGV'); await new Promise(() => setInterval(() => {}, 1000));`,
      "npm's package webgpu crashed (SIGSEGV)",
      null,
    ],
    [
      'fails when an adapter is asked for',
      `export const create = (options) => ({
        requestAdapter: async () => { throw new Error("name: 'gone'\\n"); },
      });`,
      expect.stringMatching(/^npm's package webgpu does not load: name: 'gone'$/),
      null,
    ],
  ])('tells that one %s', async (_, source, reason, remedy) => {
    if (source === null) place.path = null;
    else await packageOf(source);
    expect(await findAdapter()).toEqual({
      usable: false,
      reason,
      remedy: remedy === null ? null : expect.stringMatching(remedy),
    });
  });
});

describe('the backend webgpu', () => {
  it('is refused with the reason and what to do when the package is not there', async () => {
    place.path = null;
    const attempt = loadBackend('webgpu');
    await expect(attempt).rejects.toThrow(BackendError);
    await expect(attempt).rejects.toThrow(
      /"webgpu" cannot be used: npm's package .* \(npm install --no-save webgpu@/,
    );
    await expect(backends.webgpu.load()).rejects.toThrow("npm's package webgpu is not installed");
  });
});
