import { describe, expect, it } from 'vitest';
import { CloseCode, closeCodeInfo, closeReason, shouldReconnect } from '../../src/protocol/closeCodes.ts';

describe('close codes', () => {
  it('each have a meaning of one sentence', () => {
    for (const code of Object.values(CloseCode))
      expect(closeCodeInfo(code)?.meaning).toMatch(/^[A-Z][^.]*\.$/);
  });

  it('tell a peer to come back only where that can help', () => {
    const again = Object.values(CloseCode).filter(shouldReconnect);
    expect(again).toEqual([1011, 4005, 4006, 4009, 4010]);
  });

  it('of a lost network or an unknown origin tell a peer to come back', () => {
    for (const code of [1001, 1006, 1012, 4999]) {
      expect(closeCodeInfo(code)).toBeUndefined();
      expect(shouldReconnect(code)).toBe(true);
    }
  });
});

describe('closeReason', () => {
  const size = (text: string) => new TextEncoder().encode(text).length;

  it('leaves alone what fits', () => {
    expect(closeReason('')).toBe('');
    expect(closeReason('é'.repeat(61))).toBe('é'.repeat(61));
    expect(closeReason('a'.repeat(123))).toBe('a'.repeat(123));
  });

  it('cuts between characters, whatever their length in UTF-8', () => {
    expect(closeReason('a'.repeat(124))).toBe('a'.repeat(123));
    for (const character of ['é', '∞', '🧪']) {
      for (let shift = 0; shift < 4; shift++) {
        const reason = closeReason('a'.repeat(shift) + character.repeat(100));
        expect(size(reason)).toBeGreaterThan(123 - size(character));
        expect(size(reason)).toBeLessThanOrEqual(123);
        expect(reason).toMatch(new RegExp(`^a{${shift}}(${character})+$`, 'u'));
      }
    }
  });
});
