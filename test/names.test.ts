import { describe, expect, it } from 'vitest';
import { UsageError } from '../src/errors.ts';
import { lookUp, suggestion } from '../src/names.ts';

const registry = { 'cnn-s': 1, resnet8: 2, resnet20: 3 };

describe('looking a name up', () => {
  it('gives what is registered under exactly that name', () => {
    expect(lookUp('model', registry, 'resnet8')).toBe(2);
  });

  it('refuses another name, with the nearest one and all there are', () => {
    const find = () => lookUp('model', registry, 'CNNs');
    expect(find).toThrow(UsageError);
    expect(find).toThrow('Unknown model "CNNs"; did you mean "cnn-s"? Known: cnn-s, resnet8, resnet20.');
  });

  it.each(['constructor', 'toString', '__proto__', ''])(
    'does not take "%s" for a registered name',
    (name) => {
      expect(() => lookUp('model', registry, name)).toThrow(`Unknown model "${name}"`);
    },
  );

  it('finds an entry whose value is undefined', () => {
    expect(lookUp('backend', { auto: undefined }, 'auto')).toBeUndefined();
  });
});

describe('a suggestion', () => {
  const known = ['dml', 'independent', 'self-ema'];

  it.each([
    ['dlm', 'dml'],
    ['DML', 'dml'],
    ['self_ema', 'self-ema'],
    ['independant', 'independent'],
  ])('for "%s" is "%s"', (wrong, right) => {
    expect(suggestion(wrong, known)).toBe(`; did you mean "${right}"?`);
  });

  it.each(['xyz', '42', ''])('is not made for "%s", which is like no known name', (wrong) => {
    expect(suggestion(wrong, known)).toBe('.');
  });

  it('is not made when nothing is known', () => {
    expect(suggestion('dml', [])).toBe('.');
  });
});
