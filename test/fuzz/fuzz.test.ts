import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fuzzCoordinator, MOST_GROWTH_MIB, MOST_LAG_MS } from './coordinator.ts';
import { fuzz } from './runner.ts';
import type { Target } from './target.ts';
import { expectQuick, expectUnpolluted } from './target.ts';
import { targets } from './targets.ts';

const SEED = 20_261;
/** A run is a story of some thirty messages, a session of a dozen frames. */
const CASES: Readonly<Record<string, number>> = {
  frame: 16_000,
  message: 2_000,
  run: 500,
  session: 500,
  file: 1_000,
};

describe('fuzzing', () => {
  it.each(targets)('finds nothing in $name', async (target) => {
    const { failure, cases } = await fuzz(target, CASES[target.name]!, SEED);
    if (failure) throw failure.error;
    expect(cases).toBe(CASES[target.name]);
  });

  it('has a share of a hundred for all targets together', () => {
    expect(targets.reduce((sum, { share }) => sum + share, 0)).toBe(100);
    expect(targets.map(({ name }) => name).sort()).toEqual(Object.keys(CASES).sort());
  });

  it('neither ends a coordinator nor disturbs the peers beside', async () => {
    const { frames, rounds, lagMs, growthMiB } = await fuzzCoordinator({ frames: 1_000, seed: SEED });
    expect(frames).toBeGreaterThanOrEqual(1_000);
    expect(rounds).toBeGreaterThan(0);
    expect(lagMs).toBeLessThan(MOST_LAG_MS);
    expect(growthMiB).toBeLessThan(MOST_GROWTH_MIB);
  });
});

describe('the fuzzer', () => {
  const target = (check: (value: number) => void): Target<number> => ({
    ...{ name: 'numbers', share: 1, cases: fc.nat(1_000_000) },
    check: async (value) => check(value),
  });

  it('finds a failure, makes it small, and finds it again with the same seed', async () => {
    const picky = target((value) => {
      if (value > 777) throw new Error(`${value} is too large`);
    });
    const { failure, cases } = await fuzz(picky, 1_000, 1);
    expect(failure).toEqual({ case: 778, error: new Error('778 is too large') });
    expect(cases).toBeLessThan(100);
    expect(await fuzz(picky, 1_000, 1)).toMatchObject({ failure, cases });
  });

  it('counts work that is too slow every time as a failure, and not work that is so once', async () => {
    const times = [80, 80, 20];
    await expectQuick(() => times.shift()!);
    expect(times).toEqual([]);
    await expect(expectQuick(() => 60)).rejects.toThrow('expected at most 50 ms, took 60.0 ms');
  });

  it('sees a key that has become one of every object', () => {
    const prototype = Object.prototype as Record<string, unknown>;
    prototype.polluted = true;
    try {
      expect(expectUnpolluted).toThrow('every object has got polluted');
    } finally {
      delete prototype.polluted;
    }
    expectUnpolluted();
  });

  it('ends a program that hangs, and says at which case', async () => {
    const watchdog = new URL('../../dist/test/fuzz/watchdog.js', import.meta.url).href;
    const hanging = `import { startWatchdog } from '${watchdog}';
      const { next } = await startWatchdog('numbers, seed 1', 500);
      next();
      next();
      for (;;);`;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', hanging]);
    let told = '';
    child.stderr.on('data', (data) => {
      told += data;
    });
    const giveUp = setTimeout(() => child.kill('SIGTERM'), 20_000);
    const [, signal] = await once(child, 'close');
    clearTimeout(giveUp);
    expect(signal).toBe('SIGKILL');
    expect(told).toBe('numbers, seed 1: case 2 hangs\n');
  });
});
