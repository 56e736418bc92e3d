import { describe, expect, it } from 'vitest';
import { backends } from '../../src/backend/registry.ts';
import { generationsOf, learnsFromCopies, METHODS } from '../../src/config/methods.ts';
import { BACKENDS, DATASETS, experimentSchema } from '../../src/config/schema.ts';
import { datasets } from '../../src/datasets/registry.ts';
import { methods } from '../../src/distill/index.ts';
import { needsOf } from '../../src/distill/objective.ts';

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

  it.each(METHODS)('allow %s with copies of the others just when their mean is all that it needs', (name) => {
    const method = methods[name]!;
    const options = method.options.parse({});
    const needs = needsOf({ method, options, weight: 1 }, ['stage1', 'stage2', 'embedding']);
    const { ensemble = () => 'mean-probabilities', includesSelf = false, sends = 'own' } = method;
    const mean = ensemble(options) === 'mean-probabilities' && !includesSelf && sends === 'own';
    const suffices = method.teachers !== 'peers' || (mean && needs.logits && needs.features.length === 0);
    expect(learnsFromCopies(name)).toBe(suffices);
    expect(learnsFromCopies('./mine.js')).toBe(true);
  });

  it.each(METHODS)('train generations before %s just when it learns from one', (method) => {
    const generations = generationsOf({ method, options: {} });
    expect(generations > 0).toBe(methods[method]!.teachers === 'generation');
    const { generations: standard = 1 } = methods[method]!.options.parse({}) as { generations?: number };
    if (generations > 0) expect(generations).toBe(standard);
  });
});
