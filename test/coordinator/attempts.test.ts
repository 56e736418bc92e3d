import { describe, expect, it } from 'vitest';
import {
  type Attempts,
  addressOf,
  BURST,
  countFailure,
  MAX_ADDRESSES,
  mayTry,
  REFILL_MS,
} from '../../coordinator/attempts.ts';

describe('failed attempts', () => {
  it('are worth a look so often, then as time passes, and never more often than at first', () => {
    const attempts: Attempts = new Map();
    const looks = (times: number, nowMs: number): number =>
      Array.from({ length: times }, () => countFailure(attempts, '192.0.2.1', nowMs)).filter(Boolean).length;
    expect(looks(1_000, 0)).toBe(BURST);
    expect(mayTry(attempts, '192.0.2.1', REFILL_MS - 1)).toBe(false);
    expect(looks(1_000, REFILL_MS)).toBe(1);
    expect(looks(1_000, 3.5 * REFILL_MS)).toBe(2);
    expect(looks(1_000, 1_000 * REFILL_MS)).toBe(BURST);
  });

  it('of one address are nothing to another', () => {
    const attempts: Attempts = new Map();
    for (let i = 0; i < 2 * BURST; i++) countFailure(attempts, '192.0.2.1', 0);
    expect(mayTry(attempts, '192.0.2.1', 0)).toBe(false);
    expect(mayTry(attempts, '192.0.2.2', 0)).toBe(true);
  });

  it('of very many addresses take no more memory than those of some, which failed last', () => {
    const attempts: Attempts = new Map();
    const address = (i: number): string => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`;
    for (let i = 0; i < BURST; i++) countFailure(attempts, '192.0.2.1', 0);
    for (let i = 0; i < 20_000; i++) {
      countFailure(attempts, address(i), 0);
      // One that goes on failing is not forgotten.
      if (i % 1_000 === 0) countFailure(attempts, '192.0.2.1', i * REFILL_MS);
    }
    expect(attempts.size).toBe(MAX_ADDRESSES);
    expect(attempts.has('192.0.2.1')).toBe(true);
    expect(attempts.has(address(0))).toBe(false);
    expect(attempts.has(address(19_999))).toBe(true);
  });
});

describe('addressOf', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::9', '2001:db8:1:2::/64'],
    ['2001:db8::1:0:0:9', '2001:db8:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    [undefined, ''],
  ])('puts %s under %s', (remote, address) => {
    expect(addressOf(remote)).toBe(address);
  });
});
