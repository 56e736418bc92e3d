import { describe, expect, it } from 'vitest';
import { type Adapter, type Adapters, chooseAdapter } from '../../../src/backend/webgpu/chooseAdapter.ts';

const adapter = (name: string, software = false, driver = '550.54.14'): Adapter => ({
  name,
  device: name.toLowerCase().replaceAll(' ', '-'),
  driver,
  software,
});

const INTEL = adapter('Intel(R) UHD Graphics 770 (ADL-S GT1)', false, 'Intel open-source Mesa driver');
const RTX = adapter('NVIDIA GeForce RTX 4090');
const A100 = adapter('NVIDIA A100-SXM4-80GB');
const LLVMPIPE = adapter('llvmpipe (LLVM 15.0.6, 256 bits)', true, 'llvmpipe: Mesa 25.0.7');

const choose = (
  adapters: readonly Adapter[],
  gpu?: string,
  { preferred = adapters[0] ?? null, stderr = '' }: Partial<Adapters> = {},
) => chooseAdapter({ adapters, preferred, stderr, gpu });

const refused = (reason: string, remedy: unknown = expect.any(String)) => ({ usable: false, reason, remedy });

describe('without a wish', () => {
  it('the adapter is the one that the system prefers', () => {
    // Its name is not known: it is recognised by device and driver.
    expect(choose([INTEL, RTX, LLVMPIPE], undefined, { preferred: { ...RTX, name: '' } })).toBe(RTX);
  });

  it('the adapter is the first hardware when the system prefers another, or none', () => {
    expect(choose([LLVMPIPE, INTEL, RTX], undefined, { preferred: { ...LLVMPIPE, name: '' } })).toBe(INTEL);
    expect(choose([LLVMPIPE, INTEL, RTX], undefined, { preferred: null })).toBe(INTEL);
    const otherDriver = { ...RTX, name: '', driver: 'nouveau' };
    expect(choose([INTEL, RTX], undefined, { preferred: otherDriver })).toBe(INTEL);
  });

  it('software alone is refused with its name, and with what uses it all the same', () => {
    const refusal = choose([LLVMPIPE]);
    expect(refusal).toEqual(
      refused(
        'the only adapter is software (llvmpipe (LLVM 15.0.6, 256 bits))',
        'to use it all the same, for tests: --gpu llvmpipe',
      ),
    );
    expect(choose([LLVMPIPE], 'llvmpipe')).toBe(LLVMPIPE);
  });

  it('two of the same name are as good as one', () => {
    const twin = { ...RTX };
    expect(choose([RTX, twin])).toBe(RTX);
  });
});

describe('a wanted name', () => {
  it('may be a part of the adapter’s, in capitals or not', () => {
    expect(choose([INTEL, RTX, A100], 'a100')).toBe(A100);
    expect(choose([INTEL, RTX, A100], 'GeForce rtx')).toBe(RTX);
    expect(choose([INTEL, RTX], 'UHD Graphics 770 (')).toBe(INTEL);
  });

  it('finds software too, as nothing else does', () => {
    expect(choose([RTX, LLVMPIPE], 'LLVM')).toBe(LLVMPIPE);
    expect(choose([RTX, LLVMPIPE], '1')).toMatchObject({ usable: false });
    expect(choose([LLVMPIPE], '0')).toMatchObject({ usable: false });
  });

  it('that no adapter has is refused with the names there are', () => {
    expect(choose([INTEL, RTX], 'GPU-8eaaebb8')).toEqual(
      refused(
        `there is no card called "GPU-8eaaebb8": WebGPU sees ${INTEL.name}; ${RTX.name}`,
        'give part of one of these names',
      ),
    );
  });
});

describe('a wanted number', () => {
  it('counts from 0, and counts no software', () => {
    expect(choose([LLVMPIPE, INTEL, RTX], '0')).toBe(INTEL);
    expect(choose([LLVMPIPE, INTEL, RTX], '1')).toBe(RTX);
    // Not part of a name, although this one has a 4.
    expect(choose([LLVMPIPE, INTEL, RTX], '4')).toMatchObject({ usable: false });
  });

  it('beyond the last is refused with the names there are', () => {
    expect(choose([RTX, LLVMPIPE], '3')).toEqual(
      refused(
        `there is no card 3: WebGPU sees ${RTX.name}; ${LLVMPIPE.name}`,
        'give another number, or part of one of these names',
      ),
    );
  });

  it('of the second of two alike is refused: WebGPU would give the first', () => {
    const second = { ...A100 };
    expect(choose([A100, second, RTX], '0')).toBe(A100);
    expect(choose([A100, second, RTX], '1')).toEqual(
      refused(
        `card 1 cannot be told from another one called ${A100.name}: WebGPU knows names only`,
        expect.stringContaining('use tfjs-node-gpu'),
      ),
    );
    expect(choose([A100, second, RTX], '2')).toBe(RTX);
  });
});

describe('no adapter at all', () => {
  const TRACE = '    at operator() (/third_party/dawn/src/dawn/native/vulkan/BackendVk.cpp:368)\n\n';
  const LOADER = `Warning: Couldn't load Vulkan: libvulkan.so.1: cannot open shared object file: No such file or directory\n${TRACE}`;
  const DRIVER = `Warning: vkCreateInstance: Found no drivers!\nWarning: vkCreateInstance failed with VK_ERROR_INCOMPATIBLE_DRIVER\n${TRACE}`;
  const FEATURE = `Warning: Vulkan robustBufferAccess feature required.\n${TRACE}`;

  it('is for want of the Vulkan loader when Dawn could not open it', () => {
    expect(choose([], undefined, { stderr: LOADER + LOADER })).toEqual(
      refused('the Vulkan loader is missing (libvulkan.so.1)', expect.stringContaining('"libvulkan1"')),
    );
  });

  it('is for want of a driver when the loader found none, or nothing was said', () => {
    for (const stderr of [DRIVER, '']) {
      expect(choose([], undefined, { stderr })).toEqual(
        refused(
          'no Vulkan driver shows a GPU',
          expect.stringContaining('NVIDIA_DRIVER_CAPABILITIES=compute,utility,graphics'),
        ),
      );
    }
  });

  it('is for want of a newer driver when Dawn missed a feature', () => {
    const refusal = choose([], undefined, { stderr: DRIVER + FEATURE });
    expect(refusal).toEqual(
      refused(
        expect.stringMatching(
          /^no adapter can do what is needed: Vulkan robustBufferAccess feature required\.?$/,
        ) as unknown as string,
        expect.stringContaining('newer driver'),
      ),
    );
  });

  it.each(['0', 'llvmpipe'])('is told as that, whatever card is wanted: %s', (gpu) => {
    expect(choose([], gpu, { stderr: LOADER })).toMatchObject({
      reason: 'the Vulkan loader is missing (libvulkan.so.1)',
    });
  });
});
