import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Network } from '../../peer/network.ts';
import { expectAllowed, wantsOf } from '../../peer/wants.ts';
import { asksPeers, METHODS as EVERY_METHOD } from '../../src/config/methods.ts';
import { objectiveFrom } from '../../src/distill/fromSettings.ts';
import { methods as registry } from '../../src/distill/index.ts';
import type { FeatureNeed, Method } from '../../src/distill/types.ts';
import { UsageError } from '../../src/errors.ts';
import type { Wants } from '../../src/protocol/messages.ts';
import { settingsWith } from './support.ts';

const LAYERS = ['stage1', 'stage2', 'embedding'];
const METHODS = [
  ...[
    'dml',
    'kd',
    'kdcl',
    'okddip',
    'pcl',
    'fitnet',
    'at',
    'sp',
    'ab',
    'fsp',
    'crd',
    'self-ema',
    'independent',
  ],
] as const;

/** A method that needs these features. */
function methodWith(features: readonly FeatureNeed[], logits = false): Method<object> {
  return {
    ...{ name: 'mine', summary: '', source: '', teachers: 'peers', weights: { ce: 1, kd: 1 } },
    options: z.strictObject({}),
    needs: () => ({ logits, features }),
  };
}

function wantsWith(distill: object, ensemble?: Parameters<typeof wantsOf>[2], own: object = {}) {
  const { distill: settings } = settingsWith();
  return wantsOf(objectiveFrom({ ...settings, ...distill }, { ...registry, ...own }), LAYERS, ensemble);
}

describe('what a student needs of others', () => {
  it('is nothing where nobody else teaches', () => {
    const own = EVERY_METHOD.filter((method) => !asksPeers(method));
    expect(own).toContain('independent');
    for (const method of own) expect(wantsWith({ method }), method).toBeNull();
  });

  it('is their logits, as one target by the ensemble and the temperature of the method', () => {
    const plain = { logits: true, ensemble: 'mean-probabilities', includesSelf: false, encodings: [] };
    expect(wantsWith({ method: 'dml' })).toEqual({ ...plain, temperature: 2 });
    expect(wantsWith({ method: 'kd', options: { temperature: 7 } })).toEqual({ ...plain, temperature: 7 });
    expect(wantsWith({ method: 'kd', temperature: 3 })).toEqual({ ...plain, temperature: 3 });
    expect(wantsWith({ method: 'kdcl' })).toMatchObject({ ensemble: 'min-logit', includesSelf: true });
    expect(wantsWith({ method: 'kdcl', options: { target: 'general' } })).toMatchObject({
      ensemble: 'weighted',
    });
    expect(wantsWith({ method: 'okddip' })).toMatchObject({ ensemble: 'apart', logits: true });
  });

  it('goes by the ensemble of the experiment before that of the method', () => {
    expect(wantsWith({ method: 'kdcl' }, 'mean-logits')).toMatchObject({ ensemble: 'mean-logits' });
  });

  it('is features without logits, where the method compares those alone', () => {
    const encodings = ['stage1', 'stage2'].map((layer) => ({ layer, encoder: 'attention@1' }));
    expect(wantsWith({ method: 'at' })).toMatchObject({ logits: false, temperature: 1, encodings });
    expect(wantsWith({ method: 'fsp' })).toMatchObject({
      encodings: [{ layer: 'stage1+stage2', encoder: 'flow@1' }],
    });
  });

  it('of several methods is all of it, each thing once', () => {
    const methods = ['at', 'kd', 'at'].map((name) => ({
      name,
      options: name === 'kd' ? { temperature: 5 } : {},
    }));
    const wants = wantsWith({ methods })!;
    expect(wants).toMatchObject({ logits: true, temperature: 5 });
    expect(wants.encodings.map(({ layer }) => layer)).toEqual(['stage1', 'stage2']);
  });

  it('leaves out the methods that need nobody', () => {
    const methods = ['label-smoothing', 'dml'].map((name) => ({ name, options: {} }));
    expect(wantsWith({ methods })).toEqual(wantsWith({ method: 'dml' }));
  });

  it('is refused where the student has not the layer', () => {
    const options = { layers: ['stage9'] };
    expect(() => wantsWith({ method: 'at', options })).toThrow(/the student has no layer "stage9"/);
    expect(() => wantsWith({ method: 'at', options })).toThrow(UsageError);
  });

  it('is refused where no message could hold it', () => {
    const features = (count: number) =>
      Array.from({ length: count }, (_, i): FeatureNeed => ({ layer: `stage${i}`, encoder: 'gram@1' }));
    const mine = (count: number) =>
      wantsWith({ method: './mine.js' }, undefined, { './mine.js': methodWith(features(count)) });
    expect(mine(16)!.encodings).toHaveLength(16);
    expect(() => mine(17)).toThrow(
      'The methods need 17 features of a teacher, and it sends at most 16: choose fewer layers with distill.options.',
    );
  });

  it.each(METHODS)('of %s can be sent', (method) => {
    const wants = wantsWith({ method });
    // Plain data, in the order of the schema: what it becomes on the way is the same text.
    expect(JSON.parse(JSON.stringify(wants))).toEqual(wants);
  });
});

describe('copies of the others', () => {
  const network = { name: 'mlp-1', layers: { stage1: [8, 8, 16], embedding: [10] } } as unknown as Network;
  const settings = settingsWith({ exchange: { mode: 'checkpoint' } });

  it.each<[string, Wants]>([
    ['the feature stage1', wantsWith({ method: 'at' })!],
    ['the feature embedding', wantsWith({ method: 'okddip' })!],
    ['a target that counts the student itself in', wantsWith({ method: 'kdcl' })!],
    ['the ensemble mean-logits', wantsWith({ method: 'dml' }, 'mean-logits')!],
    ['no logits', { ...wantsWith({ method: 'dml' })!, logits: false }],
  ])('cannot teach a method that needs %s', (what, wants) => {
    expect(() => expectAllowed(wants, network, settings)).toThrow(
      new UsageError(
        `The method needs ${what}, and copies of the others give the mean of their probabilities alone: use exchange.mode lockstep (--mode lockstep).`,
      ),
    );
    expect(() => expectAllowed(wants, network, settingsWith())).not.toThrow();
  });

  it('teach one that needs the mean of their probabilities', () => {
    expect(() => expectAllowed(wantsWith({ method: 'kd' })!, network, settings)).not.toThrow();
  });
});

describe('whole feature maps', () => {
  const network = {
    name: 'mlp-1',
    layers: { stage1: [8, 8, 16], stage2: [4, 4, 32], wide: [128, 128, 64], embedding: [10] },
  } as unknown as Network;
  const needing = (...needs: readonly (readonly [layer: string, encoder: FeatureNeed['encoder']])[]) => {
    const features = needs.map(([layer, encoder]) => ({ layer, encoder }));
    return wantsWith({ method: './mine.js' }, undefined, { './mine.js': methodWith(features) })!;
  };
  const settings = (exchange: object) => settingsWith({ data: { batchSize: 64 }, exchange });

  it('are refused unless the experiment allows them, with their size in its codec', () => {
    const wants = needing(['stage1', 'map@1'], ['stage2', 'map@1'], ['stage2', 'attention@1']);
    const told = (size: string) =>
      `The method needs whole feature maps (stage1, stage2): as large as those of mlp-1, ${size} a batch. ` +
      'Allow it with exchange.allowFeatureMaps (--allow-feature-maps true).';
    expect(() => expectAllowed(wants, network, settings({}))).toThrow(new UsageError(told('196.6 kB')));
    expect(() => expectAllowed(wants, network, settings({ codec: 'float32' }))).toThrow(told('393.2 kB'));
    expect(() => expectAllowed(wants, network, settings({ allowFeatureMaps: true }))).not.toThrow();
  });

  it('are refused though it allows them where no message could hold them', () => {
    expect(() =>
      expectAllowed(needing(['wide', 'map@1']), network, settings({ allowFeatureMaps: true })),
    ).toThrow(
      'as large as those of mlp-1, 134.2 MB a batch. A message holds 16.8 MB: choose fewer layers, or a smaller data.batchSize.',
    );
  });

  it('are no others: signs and what is reduced may always be sent', () => {
    const wants = needing(
      ['wide', 'signs@1'],
      ['stage1', 'gram@1'],
      ['stage1+stage2', 'flow@1'],
      ['embedding', 'vector@1'],
    );
    expect(() => expectAllowed(wants, network, settings({}))).not.toThrow();
  });
});
