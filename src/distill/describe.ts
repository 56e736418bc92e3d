import { z } from 'zod';
import { float32 } from '../codec/float32.ts';
import { getEncoder } from './encoders/index.ts';
import type { AnyMethod } from './objective.ts';
import { needsOf } from './objective.ts';
import { payloadBytes } from './payload.ts';
import type { Needs, TeacherKind } from './types.ts';

/** A method in words and numbers, for `codistill methods` and the README. */
export interface MethodDescription {
  readonly name: string;
  readonly summary: string;
  readonly source: string;
  /** In which schemas of distillation it can be used. */
  readonly schema: string;
  /** What a teacher sends, in words. */
  readonly sends: string;
  /** Bytes that a teacher sends for one batch of {@link REFERENCE}; 0 when nothing travels. */
  readonly bytes: number;
  readonly weights: { readonly ce: number; readonly kd: number };
  readonly options: readonly OptionDescription[];
}

export interface OptionDescription {
  readonly name: string;
  readonly default: unknown;
  readonly description: string;
}

/** What bytes are told for: the setting in which the literature compares methods. */
export const REFERENCE = {
  description: 'batch 64, 100 classes, a resnet8x4 on 32x32 images, float32',
  batch: 64,
  classes: 100,
  shapes: { stage1: [32, 32, 64], stage2: [16, 16, 128], stage3: [8, 8, 256], embedding: [256] },
} as const;

const SCHEMAS: Readonly<Record<TeacherKind, string>> = {
  none: 'alone',
  peers: 'online, offline',
  ema: 'self',
  generation: 'self',
  'previous-epoch': 'self',
  'previous-batch': 'self',
};

export function describeMethod(method: AnyMethod): MethodDescription {
  const options = method.options.parse({});
  const { shapes, classes, batch } = REFERENCE;
  const needs = needsOf({ method, options, weight: 1 }, Object.keys(shapes));
  const asks = method.teachers === 'peers';
  const parts = [
    ...(needs.logits ? ['logits'] : []),
    ...new Set(needs.features.map(({ encoder }) => encoder.replace(/@.*/, ''))),
  ];
  return {
    name: method.name,
    summary: method.summary,
    source: method.source,
    schema: schemaOf(method, needs),
    sends: asks ? parts.join(', ') : 'nothing',
    bytes: asks ? payloadBytes(needs, { shapes, classes, batch, codec: float32 }) : 0,
    weights: method.weights,
    options: optionsOf(method),
  };
}

/** Who has to train something before it can teach is no student at the same time. */
function schemaOf(method: AnyMethod, needs: Needs): string {
  if (needs.features.some(({ encoder }) => getEncoder(encoder).trainable)) return 'offline';
  return isSelf(method) ? 'self' : SCHEMAS[method.teachers];
}

/** A method without teachers that still distils learns from what the student itself says. */
function isSelf({ teachers, loss }: AnyMethod): boolean {
  return teachers === 'none' && loss !== undefined;
}

function optionsOf({ options }: AnyMethod): OptionDescription[] {
  const { properties = {} } = z.toJSONSchema(options, { io: 'input', unrepresentable: 'any' });
  return Object.entries(properties).map(([name, schema]) => {
    const { default: standard, description = '' } = schema as { default?: unknown; description?: string };
    return { name, default: standard ?? null, description };
  });
}
