import type * as tf from '@tensorflow/tfjs';
import { lookUp } from '../../names.ts';
import { layersOf, shapesFor } from '../layers.ts';
import type { FeatureNeed, FeatureShapes } from '../types.ts';
import { attention } from './attention.ts';
import { cosine } from './cosine.ts';
import { factors } from './factors.ts';
import { flow } from './flow.ts';
import { gram } from './gram.ts';
import { map } from './map.ts';
import { signs } from './signs.ts';
import type { Encoder, EncoderName, TrainedModules } from './types.ts';
import { vector } from './vector.ts';

export { layersOf } from '../layers.ts';

/** Every encoder by name. */
export const encoders: Readonly<Record<EncoderName, Encoder>> = {
  'vector@1': vector,
  'map@1': map,
  'attention@1': attention,
  'gram@1': gram,
  'cosine@1': cosine,
  'signs@1': signs,
  'factors@1': factors,
  'flow@1': flow,
};

/** @throws {UsageError} naming the known encoders */
export function getEncoder(name: string): Encoder {
  return lookUp('encoder', encoders, name);
}

/**
 * The encoding that a need asks for.
 *
 * @param features of the sender, by layer
 * @param trained what the sender trained for this need, where the encoder has something to train
 * @returns a new tensor
 */
export function encode(
  { layer, encoder }: { readonly layer: string; readonly encoder: string },
  features: Readonly<Record<string, tf.Tensor>>,
  trained?: TrainedModules,
): tf.Tensor {
  const [first, next] = layersOf(layer).map((each) => features[each]!);
  return trained ? trained.encode(first!) : getEncoder(encoder).encode(first!, next);
}

/** The shape of the encoding that a need asks for, the batch included. @param shapes of the sender's layers */
export function encodingShape(
  { layer, encoder }: Pick<FeatureNeed, 'layer'> & { readonly encoder: string },
  shapes: FeatureShapes,
  batch: number,
): readonly number[] {
  const [first, next] = shapesFor(layer, shapes);
  return getEncoder(encoder).shape(first!, batch, next);
}
