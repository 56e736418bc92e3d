import { expect, it } from 'vitest';
import { pingIntervalMs } from '../../src/exchange/pingInterval.ts';

it.each([
  [30_000, 5_000],
  [600_000, 5_000],
  [3_000, 500],
  [1_000, 166],
  [1, 50],
])('a lease of %i ms is pinged every %i ms', (lease, ping) => {
  expect(pingIntervalMs(lease)).toBe(ping);
});
