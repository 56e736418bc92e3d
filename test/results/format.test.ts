import { expect, test } from 'vitest';
import { byteSize, decimal, duration, list, percent, points, wrap } from '../../src/results/format.ts';

test('absent and non-finite numbers are dashes', () => {
  expect([percent(null), percent(NaN), decimal(Infinity, 2), points(null)]).toEqual(['–', '–', '–', '–']);
});

test('the largest number, which a diverged model gets, is infinite to people', () => {
  expect(decimal(Number.MAX_VALUE, 3)).toBe('∞');
});

test('differences carry a sign, unless they are zero as printed', () => {
  expect([0.0561, -0.004, 0.0004, -0.0004].map(points)).toEqual(['+5.6', '-0.4', '0.0', '0.0']);
});

test('sizes use the unit that keeps them below a thousand', () => {
  expect([0, 999, 1000, 999_949, 999_950, 12_345_678, 5e15].map(byteSize)).toEqual([
    '0 B',
    '999 B',
    '1.0 kB',
    '999.9 kB',
    '1.0 MB',
    '12.3 MB',
    '5000.0 TB',
  ]);
});

test('durations show the two largest units and never 60 of the smaller', () => {
  expect([0, 9.94, 9.96, 59.6, 125, 3599.7, 7190, 86_400].map(duration)).toEqual([
    '0.0 s',
    '9.9 s',
    '10 s',
    '1 min 0 s',
    '2 min 5 s',
    '1 h 0 min',
    '2 h 0 min',
    '24 h 0 min',
  ]);
});

test('lists read as English', () => {
  expect([[], ['a'], ['a', 'b'], ['a', 'b', 'c']].map(list)).toEqual(['', 'a', 'a and b', 'a, b and c']);
});

test('wrapped lines are as long as fits', () => {
  expect(wrap('one two three fourteen', 9)).toBe('one two\nthree\nfourteen');
});
