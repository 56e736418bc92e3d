import { describe, expect, it } from 'vitest';
import { datasets } from '../../src/datasets/registry.ts';

describe.each(Object.entries(datasets))('%s', (name, definition) => {
  it('has statistics for every channel and distinct class names', () => {
    expect(definition.mean.length).toBe(definition.imageShape[2]);
    expect(definition.std.length).toBe(definition.imageShape[2]);
    expect(new Set(definition.classNames).size).toBe(name === 'cifar-100' ? 100 : 10);
  });
});
