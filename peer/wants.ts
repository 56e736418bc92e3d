import { getCodec } from '../src/codec/index.ts';
import type { RunSettings } from '../src/config/schema.ts';
import { encodingShape, getEncoder } from '../src/distill/encoders/index.ts';
import { encodingKey, needsOf, type Objective } from '../src/distill/objective.ts';
import type { EnsembleKind } from '../src/distill/types.ts';
import { UsageError } from '../src/errors.ts';
import { HEADER_BYTES, MAX_ENCODINGS, MAX_FRAME_BYTES } from '../src/protocol/limits.ts';
import type { Wants } from '../src/protocol/messages.ts';
import { byteSize } from '../src/results/format.ts';
import { sizeFromShape } from '../src/sizeFromShape.ts';
import type { Network } from './network.ts';

/**
 * What a student's methods need of other peers, for the coordinator, which knows no methods.
 *
 * @param layers that the student has
 * @param ensemble the experiment's, instead of the method's own
 * @returns `null` when no other peer teaches
 * @throws {UsageError} when a method needs a layer that the student does not have, or more than a message can hold
 */
export function wantsOf(
  objective: Objective,
  layers: readonly string[],
  ensemble?: EnsembleKind,
): Wants | null {
  const terms = objective.terms.filter(({ method }) => method.teachers === 'peers');
  if (terms.length === 0) return null;
  const needs = terms.map((term) => needsOf(term, layers));
  const features = needs.flatMap((each) => each.features);
  const first = terms.find((_, i) => needs[i]!.logits) ?? terms[0]!;
  const { temperature = 1 } = first.options as { temperature?: number };
  const encodings = [...new Map(features.map((need) => [encodingKey(need), { ...need }])).values()];
  if (encodings.length > MAX_ENCODINGS) {
    throw new UsageError(
      `The methods need ${encodings.length} features of a teacher, and it sends at most ${MAX_ENCODINGS}: choose fewer layers with distill.options.`,
    );
  }
  return {
    logits: needs.some(({ logits }) => logits),
    ensemble: ensemble ?? first.method.ensemble?.(first.options) ?? 'mean-probabilities',
    includesSelf: first.method.includesSelf ?? false,
    temperature,
    encodings,
  };
}

/**
 * Whole feature maps are megabytes a batch: they are only sent where the experiment allows it, and a message can hold
 * them. Where copies of the others teach, they give the mean of their probabilities, and nothing else can be needed.
 *
 * @throws {UsageError} with the size, or what copies do not give
 */
export function expectAllowed(
  wants: Wants,
  { layers, name }: Network,
  { data, exchange }: RunSettings,
): void {
  if (exchange.mode === 'checkpoint') expectFromCopies(wants);
  const raw = wants.encodings.filter(({ encoder }) => getEncoder(encoder).raw);
  if (raw.length === 0) return;
  const values = raw
    .map((need) => encodingShape(need, layers, data.batchSize))
    .reduce((sum, shape) => sum + sizeFromShape(shape), 0);
  const bytes = getCodec(exchange.codec).bytes(1, values);
  const what = raw.map(({ layer }) => layer).join(', ');
  const need = `The method needs whole feature maps (${what}): as large as those of ${name}, ${byteSize(bytes)} a batch.`;
  if (!exchange.allowFeatureMaps) {
    throw new UsageError(`${need} Allow it with exchange.allowFeatureMaps (--allow-feature-maps true).`);
  }
  if (bytes > MAX_FRAME_BYTES - HEADER_BYTES) {
    throw new UsageError(
      `${need} A message holds ${byteSize(MAX_FRAME_BYTES)}: choose fewer layers, or a smaller data.batchSize.`,
    );
  }
}

function expectFromCopies({ logits, ensemble, includesSelf, encodings }: Wants): void {
  const [feature] = encodings;
  const more = feature
    ? `the feature ${feature.layer}`
    : includesSelf
      ? 'a target that counts the student itself in'
      : ensemble === 'mean-probabilities'
        ? null
        : `the ensemble ${ensemble}`;
  if (more === null && logits) return;
  throw new UsageError(
    `The method needs ${more ?? 'no logits'}, and copies of the others give the mean of their probabilities alone: use exchange.mode lockstep (--mode lockstep).`,
  );
}
