import { describe, expect, it } from 'vitest';
import { parseDuration } from '../../src/config/duration.ts';

describe('parseDuration', () => {
  it.each([
    ['500ms', 500],
    ['10s', 10_000],
    ['2m', 120_000],
    ['0.5s', 500],
    ['1.001m', 60_060],
    [250, 250],
  ])('reads %s as %d ms', (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds);
  });

  it.each(['', '10', '10 s', '-1s', '1h', 's', '1e3s'])('refuses "%s"', (text) => {
    expect(parseDuration(text)).toBeNaN();
  });
});
