import { Command } from 'commander';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { addTrainingOptions } from '../../src/config/trainingOptions.ts';

afterEach(() => vi.unstubAllEnvs());

describe('CODISTILL_DOWNLOAD', () => {
  it.each([
    ['true', true],
    ['1', true],
    ['false', false],
    ['0', false],
    ['', false],
  ])('of "%s" makes --download %s', (text, expected) => {
    vi.stubEnv('CODISTILL_DOWNLOAD', text);
    const command = addTrainingOptions(new Command()).parse([], { from: 'user' });
    expect(command.opts().download).toBe(expected);
  });
});
