import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { backends } from '../../src/backend/registry.ts';
import { loadBackend } from '../../src/backend/select.ts';
import type { Backend, BackendName, Probe } from '../../src/backend/types.ts';
import { BackendError, UsageError } from '../../src/errors.ts';

interface Fake extends Backend {
  readonly calls: string[];
}

function fake(name: BackendName, outcome: Probe | Error, automatic = true): Fake {
  const calls: string[] = [];
  return {
    name,
    automatic,
    usesGpu: name === 'tfjs-node-gpu' || name === 'webgpu',
    calls,
    async probe(gpu) {
      calls.push(gpu === undefined ? 'probe' : `probe ${gpu}`);
      if (outcome instanceof Error) return { usable: true };
      return outcome;
    },
    async load(gpu) {
      calls.push(gpu === undefined ? 'load' : `load ${gpu}`);
      if (outcome instanceof Error) throw outcome;
      return `${name} device`;
    },
  };
}

const usable: Probe = { usable: true };
const absent: Probe = { usable: false, reason: 'not installed', remedy: 'install it' };

describe('loadBackend auto', () => {
  it('takes the first that is usable and does not touch the others', async () => {
    const registry = { 'tfjs-node-gpu': fake('tfjs-node-gpu', usable), wasm: fake('wasm', usable) };
    expect(await loadBackend('auto', undefined, registry)).toEqual({
      name: 'tfjs-node-gpu',
      device: 'tfjs-node-gpu device',
      refused: [],
    });
    expect(registry.wasm.calls).toEqual([]);
  });

  it('goes on to the next after a refusal and tells why', async () => {
    const registry = { 'tfjs-node-gpu': fake('tfjs-node-gpu', absent), wasm: fake('wasm', usable) };
    const loaded = await loadBackend('auto', undefined, registry);
    expect(loaded.name).toBe('wasm');
    expect(loaded.refused).toEqual([{ backend: 'tfjs-node-gpu', reason: 'not installed' }]);
    expect(registry['tfjs-node-gpu'].calls).toEqual(['probe']);
  });

  it('goes on to the next when loading fails in spite of the probe', async () => {
    const registry = {
      'tfjs-node-gpu': fake('tfjs-node-gpu', new Error('out of memory')),
      wasm: fake('wasm', usable),
    };
    const loaded = await loadBackend('auto', undefined, registry);
    expect(loaded.refused).toEqual([{ backend: 'tfjs-node-gpu', reason: 'out of memory' }]);
  });

  it('fails with every reason when nothing is usable, and does not fall back to cpu', async () => {
    const registry = {
      'tfjs-node-gpu': fake('tfjs-node-gpu', absent),
      wasm: fake('wasm', new Error('no memory')),
      cpu: fake('cpu', usable, false),
    };
    const attempt = loadBackend('auto', undefined, registry);
    await expect(attempt).rejects.toThrow(BackendError);
    await expect(attempt).rejects.toThrow(/tfjs-node-gpu.*not installed[\s\S]*wasm.*no memory/);
    expect(registry.cpu.calls).toEqual([]);
  });
});

describe('loadBackend by name', () => {
  it('takes that one only', async () => {
    const registry = { wasm: fake('wasm', usable), cpu: fake('cpu', usable, false) };
    expect((await loadBackend('cpu', undefined, registry)).name).toBe('cpu');
    expect(registry.wasm.calls).toEqual([]);
  });

  it('fails when it is not usable, whatever else is', async () => {
    const registry = { 'tfjs-node-gpu': fake('tfjs-node-gpu', absent), wasm: fake('wasm', usable) };
    await expect(loadBackend('tfjs-node-gpu', undefined, registry)).rejects.toThrow(BackendError);
    expect(registry.wasm.calls).toEqual([]);
  });

  it('refuses an unknown name with the nearest known one', async () => {
    const attempt = loadBackend('wsam');
    await expect(attempt).rejects.toThrow(UsageError);
    await expect(attempt).rejects.toThrow(
      'did you mean "wasm"? Known: auto, node, tfjs-node-gpu, webgpu, tfjs-node, wasm, cpu.',
    );
  });
});

describe('loadBackend node', () => {
  it('takes the first of the two with TensorFlow’s C library that works, and nothing else', async () => {
    const registry = {
      'tfjs-node-gpu': fake('tfjs-node-gpu', absent),
      webgpu: fake('webgpu', usable),
      'tfjs-node': fake('tfjs-node', usable),
      wasm: fake('wasm', usable),
    };
    expect(await loadBackend('node', undefined, registry)).toEqual({
      name: 'tfjs-node',
      device: 'tfjs-node device',
      refused: [{ backend: 'tfjs-node-gpu', reason: 'not installed' }],
    });
    expect([registry.webgpu.calls, registry.wasm.calls]).toEqual([[], []]);
  });

  it('takes the GPU when it works', async () => {
    const registry = {
      'tfjs-node-gpu': fake('tfjs-node-gpu', usable),
      'tfjs-node': fake('tfjs-node', usable),
    };
    expect((await loadBackend('node', undefined, registry)).name).toBe('tfjs-node-gpu');
    expect(registry['tfjs-node'].calls).toEqual([]);
  });

  it('fails with both reasons, whatever else works', async () => {
    const registry = {
      'tfjs-node-gpu': fake('tfjs-node-gpu', absent),
      'tfjs-node': fake('tfjs-node', new Error('no AVX')),
      wasm: fake('wasm', usable),
    };
    await expect(loadBackend('node', undefined, registry)).rejects.toThrow(
      /"tfjs-node-gpu" cannot be used: not installed[\s\S]*"tfjs-node" cannot be used: no AVX/,
    );
    expect(registry.wasm.calls).toEqual([]);
  });
});

describe('loadBackend with a GPU', () => {
  const all = (gpu: Probe, webgpu: Probe) => ({
    'tfjs-node-gpu': fake('tfjs-node-gpu', gpu),
    webgpu: fake('webgpu', webgpu),
    'tfjs-node': fake('tfjs-node', usable),
    wasm: fake('wasm', usable),
    cpu: fake('cpu', usable, false),
  });

  it('gives the card to the probe and to what is loaded', async () => {
    const registry = all(absent, usable);
    expect(await loadBackend('auto', '2', registry)).toEqual({
      name: 'webgpu',
      device: 'webgpu device',
      refused: [{ backend: 'tfjs-node-gpu', reason: 'not installed' }],
    });
    expect(registry['tfjs-node-gpu'].calls).toEqual(['probe 2']);
    expect(registry.webgpu.calls).toEqual(['probe 2', 'load 2']);
  });

  it('takes nothing but a GPU: fails with the reasons of those, and touches no other backend', async () => {
    const registry = all(absent, { usable: false, reason: 'there is no card 7', remedy: null });
    const attempt = loadBackend('auto', '7', registry);
    await expect(attempt).rejects.toThrow(BackendError);
    await expect(attempt).rejects.toThrow(
      'Backend "tfjs-node-gpu" cannot be used: not installed (install it).\n' +
        'Backend "webgpu" cannot be used: there is no card 7.',
    );
    for (const name of ['tfjs-node', 'wasm', 'cpu'] as const) expect(registry[name].calls).toEqual([]);
  });

  it.each([
    ['auto', ['tfjs-node-gpu', 'webgpu']],
    ['node', ['tfjs-node-gpu']],
    ['webgpu', ['webgpu']],
    ['tfjs-node-gpu', ['tfjs-node-gpu']],
  ])('has of %s the candidates %j', async (requested, candidates) => {
    const registry = all(absent, absent);
    await expect(loadBackend(requested, 'RTX', registry)).rejects.toThrow(BackendError);
    expect(Object.values(registry).flatMap(({ name, calls }) => (calls.length > 0 ? [name] : []))).toEqual(
      candidates,
    );
  });

  it.each(['tfjs-node', 'wasm', 'cpu'])(
    'is wrong input for a backend that uses none: %s',
    async (requested) => {
      const registry = all(usable, usable);
      const attempt = loadBackend(requested, '0', registry);
      await expect(attempt).rejects.toThrow(UsageError);
      await expect(attempt).rejects.toThrow(`GPU 0 was asked for, but the backend "${requested}" uses none.`);
      for (const { calls } of Object.values(registry)) expect(calls).toEqual([]);
    },
  );
});

describe('the error', () => {
  it('says what to do about each refusal, where there is something to do', async () => {
    const registry = {
      'tfjs-node-gpu': fake('tfjs-node-gpu', absent),
      wasm: fake('wasm', { usable: false, reason: 'no WebAssembly', remedy: null }),
    };
    await expect(loadBackend('auto', undefined, registry)).rejects.toThrow(
      'Backend "tfjs-node-gpu" cannot be used: not installed (install it).\n' +
        'Backend "wasm" cannot be used: no WebAssembly.',
    );
  });
});

describe('the registry', () => {
  it('has the backends in the order of preference, and knows which use a GPU', () => {
    expect(Object.values(backends).map(({ name, usesGpu }) => [name, usesGpu])).toEqual([
      ['tfjs-node-gpu', true],
      ['webgpu', true],
      ['tfjs-node', false],
      ['wasm', false],
      ['cpu', false],
    ]);
    expect(Object.keys(backends)).toEqual(Object.values(backends).map(({ name }) => name));
  });

  it('never chooses cpu by itself', () => {
    expect(Object.values(backends).filter(({ automatic }) => !automatic)).toEqual([backends.cpu]);
  });

  it('loads wasm with its device in words and leaves the process its own error handlers', async () => {
    const own = () => {};
    process.on('unhandledRejection', own);
    const listeners = () => [
      ...process.rawListeners('uncaughtException'),
      ...process.rawListeners('unhandledRejection'),
    ];
    const before = listeners();
    try {
      expect(await loadBackend('wasm')).toEqual({ name: 'wasm', device: 'wasm SIMD, 1 thread', refused: [] });
      expect(tf.getBackend()).toBe('wasm');
      expect(listeners()).toEqual(before);
    } finally {
      process.removeListener('unhandledRejection', own);
    }
  });

  it('loads cpu when asked for', async () => {
    expect((await loadBackend('cpu')).name).toBe('cpu');
    expect(tf.getBackend()).toBe('cpu');
  });
});
