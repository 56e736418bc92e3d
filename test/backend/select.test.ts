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
    async probe() {
      calls.push('probe');
      if (outcome instanceof Error) return { usable: true };
      return outcome;
    },
    async load() {
      calls.push('load');
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

describe('the registry', () => {
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
