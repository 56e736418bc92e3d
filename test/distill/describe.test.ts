import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { describeMethod, REFERENCE } from '../../src/distill/describe.ts';
import { getMethod } from '../../src/distill/index.ts';
import type { Method } from '../../src/distill/types.ts';

const of = (name: string) => describeMethod(getMethod(name));

describe('a method in words and numbers', () => {
  it('has its options with defaults and descriptions, and its weights', () => {
    const { options, weights } = of('kdcl');
    expect(weights).toEqual(getMethod('kdcl').weights);
    expect(options.map(({ name, default: standard }) => [name, standard])).toEqual(
      Object.entries(getMethod('kdcl').options.parse({})),
    );
    for (const { description } of options) expect(description).not.toBe('');
    expect(of('independent').options).toEqual([]);
  });

  it.each([
    ['independent', 'alone', 'nothing', 0],
    ['label-smoothing', 'alone', 'nothing', 0],
    ['self-ema', 'self', 'nothing', 0],
    ['born-again', 'self', 'nothing', 0],
    ['ps-kd', 'self', 'nothing', 0],
    ['dlb', 'self', 'nothing', 0],
    // Without a teacher of their own, they learn from what the student says at the same time.
    ['cs-kd', 'self', 'nothing', 0],
    ['byot', 'self', 'nothing', 0],
    ['kd', 'online, offline', 'logits', 25_600],
    ['okddip', 'online, offline', 'logits, vector', 25_600 + 65_536],
    ['at', 'online, offline', 'attention', 344_064],
    // Its teacher trains something first.
    ['ft', 'offline', 'factors', 16_384],
  ])('%s is of the schema "%s", and its teacher sends %s', (name, schema, sends, bytes) => {
    expect(of(name)).toMatchObject({ name, schema, sends, bytes });
  });

  it("is made of a user's own method, too", () => {
    const mine: Method<{ layers: readonly string[] }> = {
      ...{ name: 'mine', summary: 'words', source: 'nowhere', teachers: 'peers', weights: { ce: 1, kd: 2 } },
      options: z.strictObject({ layers: z.array(z.string()).default(['stage3']).describe('which') }),
      needs: ({ layers }) => ({
        logits: true,
        features: layers.map((layer) => ({ layer, encoder: 'signs@1' as const })),
      }),
    };
    expect(describeMethod(mine)).toEqual({
      ...{ name: 'mine', summary: 'words', source: 'nowhere', weights: { ce: 1, kd: 2 } },
      ...{ schema: 'online, offline', sends: 'logits, signs' },
      bytes: 4 * REFERENCE.batch * REFERENCE.classes + (REFERENCE.batch * 8 * 8 * 256) / 8,
      options: [{ name: 'layers', default: ['stage3'], description: 'which' }],
    });
  });
});
