import { describe, expect, it } from 'vitest';
import { backends } from '../../src/backend/registry.ts';
import { METHODS } from '../../src/config/methods.ts';
import { BACKENDS, DATASETS, experimentSchema } from '../../src/config/schema.ts';
import { datasets } from '../../src/datasets/registry.ts';
import { methods } from '../../src/distill/index.ts';

describe('the names that an experiment accepts', () => {
  it('are those of the datasets, methods and backends that there are', () => {
    expect([...DATASETS].toSorted()).toEqual(Object.keys(datasets).toSorted());
    expect([...METHODS].toSorted()).toEqual(Object.keys(methods).toSorted());
    expect(BACKENDS).toEqual(['auto', 'node', ...Object.keys(backends)]);
  });

  it.each(METHODS)('allow %s with one peer just when its teachers are not other peers', (method) => {
    const alone = { distill: { method }, peers: [{ model: 'cnn-s' }] };
    expect(experimentSchema.safeParse(alone).success).toBe(methods[method]!.teachers !== 'peers');
  });
});
