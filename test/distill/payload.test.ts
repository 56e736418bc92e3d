import { describe, expect, it } from 'vitest';
import { getCodec } from '../../src/codec/index.ts';
import { encode, encodingShape } from '../../src/distill/encoders/index.ts';
import { getMethod } from '../../src/distill/index.ts';
import { payloadBytes } from '../../src/distill/payload.ts';
import type { FeatureShapes, Needs } from '../../src/distill/types.ts';

const BATCH = 64;
const CLASSES = 100;

/** What RepDistiller compares of its networks; their maps before the first stage are called the stem here. */
const shapes = (stem: number, widths: readonly [number, number, number]): FeatureShapes => ({
  stem: [32, 32, stem],
  stage1: [32, 32, widths[0]],
  stage2: [16, 16, widths[1]],
  stage3: [8, 8, widths[2]],
  embedding: [widths[2]],
});
const resnet8x4 = shapes(32, [64, 128, 256]);
const wrn16x2 = shapes(16, [32, 64, 128]);

function needsOf(name: string, options: Record<string, unknown> = {}): Needs {
  const method = getMethod(name);
  const parsed = method.options.parse(options);
  return method.needs?.(parsed, Object.keys(resnet8x4)) ?? { logits: true, features: [] };
}

const setup = (layers: FeatureShapes, codec = 'float32') => ({
  shapes: layers,
  classes: CLASSES,
  batch: BATCH,
  codec: getCodec(codec),
});

const withStem = { layers: ['stem', 'stage1', 'stage2', 'stage3'] };

describe('bytes of a batch of 64 with 100 classes', () => {
  it.each([
    ['kd', {}, 25_600, 25_600],
    ['at', {}, 344_064, 344_064],
    ['sp', {}, 16_384, 16_384],
    ['rkd', {}, 65_536, 32_768],
    ['cc', {}, 65_536, 32_768],
    ['crd', {}, 65_536, 32_768],
    ['pkt', {}, 16_384, 16_384],
    ['ab', {}, 917_504, 458_752],
    ['ft', {}, 16_384, 16_384],
    ['fsp', withStem, 11_010_048, 2_752_512],
    ['nst', {}, 29_360_128, 14_680_064],
    ['vid', {}, 29_360_128, 14_680_064],
    ['fitnet', {}, 8_388_608, 4_194_304],
  ] as const)('%s', (name, options, resnet, wide) => {
    const needs = needsOf(name, options);
    expect(payloadBytes(needs, setup(resnet8x4))).toBe(resnet);
    expect(payloadBytes(needs, setup(wrn16x2))).toBe(wide);
  });

  it('are half as many as float16, but for signs', () => {
    expect(payloadBytes(needsOf('kd'), setup(resnet8x4, 'float16'))).toBe(12_800);
    expect(payloadBytes(needsOf('at'), setup(resnet8x4, 'float16'))).toBe(172_032);
    expect(payloadBytes(needsOf('ab'), setup(resnet8x4, 'float16'))).toBe(917_504);
  });

  it('have no sample ids: with four bytes each, crd would take 65,792 and 33,024', () => {
    const needs = needsOf('crd');
    expect(payloadBytes(needs, setup(resnet8x4)) + 4 * BATCH).toBe(65_792);
    expect(payloadBytes(needs, setup(wrn16x2)) + 4 * BATCH).toBe(33_024);
  });

  it('add up', () => {
    const features = [...needsOf('sp').features, ...needsOf('rkd').features];
    expect(payloadBytes({ logits: true, features }, setup(resnet8x4))).toBe(25_600 + 16_384 + 65_536);
  });
});

it('the shape of a pair is that of both layers', () => {
  expect(encodingShape({ layer: 'stage1+stage2', encoder: 'flow@1' }, resnet8x4, 3)).toEqual([3, 128, 64]);
  expect(() => encode({ layer: 'stage1', encoder: 'flow@2' }, {})).toThrow('Unknown encoder "flow@2"');
});
