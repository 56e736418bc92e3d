import { describe, expect, it } from 'vitest';
import type { PlannedPeer } from '../../src/config/peers.ts';
import { UsageError } from '../../src/errors.ts';
import { ANY_CARD, dealCards } from '../../src/launch/cards.ts';

/** Peers called `a`, `b`, `c` and so on, of these backends. */
const peersOn = (...backends: string[]): PlannedPeer[] =>
  backends.map((backend, i) => ({
    name: 'abcdefgh'[i]!,
    model: 'mlp',
    role: 'student' as const,
    backend,
  }));

const dealt = (list: string, peers: readonly PlannedPeer[], backend = 'auto') => {
  const { of, warning } = dealCards(list, peers, backend);
  return { of: Object.fromEntries(of), warning };
};

describe('cards that are dealt', () => {
  it('go to the peers one by one, in the order of the experiment', () => {
    expect(dealt('2,0,1', peersOn('auto', 'auto', 'auto'))).toEqual({
      of: { a: '2', b: '0', c: '1' },
      warning: null,
    });
  });

  it('may be UUIDs or names, with space around them', () => {
    expect(dealt(' GPU-8eaa , NVIDIA L4', peersOn('auto', 'auto')).of).toEqual({
      a: 'GPU-8eaa',
      b: 'NVIDIA L4',
    });
  });

  it('may be more than the peers: the last ones are left', () => {
    expect(dealt('0,1,2,3', peersOn('auto', 'auto'))).toEqual({ of: { a: '0', b: '1' }, warning: null });
  });

  it('start from the first again when they are fewer, and who shares is told', () => {
    expect(dealt('0,1', peersOn('auto', 'auto', 'auto', 'auto', 'auto'))).toEqual({
      of: { a: '0', b: '1', c: '0', d: '1', e: '0' },
      warning: '2 cards for 5 peers: a and c and e share card 0; b and d share card 1.',
    });
    expect(dealt('7', peersOn('auto', 'auto')).warning).toBe('1 card for 2 peers: a and b share card 7.');
  });

  it('that were named twice are shared, which is told', () => {
    const { of, warning } = dealt('1,1,0', peersOn('auto', 'auto', 'auto'));
    expect(of).toEqual({ a: '1', b: '1', c: '0' });
    expect(warning).toContain('a and b share card 1');
  });

  it('go only to peers whose backend can use one: their own, or else that of the command', () => {
    const peers = peersOn('wasm', 'auto', 'cpu', 'webgpu', 'tfjs-node', 'tfjs-node-gpu', 'node');
    expect(dealt('0,1,2,3', peers).of).toEqual({ b: '0', d: '1', f: '2', g: '3' });
    expect(dealt('0,1,2,3', peers, 'wasm').of).toEqual({ d: '0', f: '1', g: '2' });
    expect(dealt('0', peersOn('auto', 'wasm'), 'webgpu').of).toEqual({ a: '0' });
  });

  it.each([
    [peersOn('wasm', 'cpu', 'tfjs-node'), 'auto'],
    [peersOn('auto', 'auto'), 'wasm'],
    [peersOn('auto'), 'cpu'],
    [peersOn('auto'), 'tfjs-node'],
  ])('are refused when no peer can use one', (peers, backend) => {
    expect(() => dealCards('0', peers, backend)).toThrow(UsageError);
    expect(() => dealCards('0', peers, backend)).toThrow(
      '--gpus 0: no peer computes on a GPU, because of their backends.',
    );
  });

  it.each(['', ' ', '0,', ',0', '0,,1', '0, ,1'])(
    'are refused when a place of the list is empty: %j',
    (list) => {
      expect(() => dealCards(list, peersOn('auto'), 'auto')).toThrow(UsageError);
      expect(() => dealCards(list, peersOn('auto'), 'auto')).toThrow(
        `--gpus: expected a list such as 0,1, got "${list}".`,
      );
    },
  );
});

it('without a list, no peer is told a card', () => {
  expect([...ANY_CARD.of]).toEqual([]);
  expect(ANY_CARD.warning).toBeNull();
});
