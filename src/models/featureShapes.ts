import * as tf from '@tensorflow/tfjs';
import type { Model } from './types.ts';

/** The features of a model, shallow to deep: `[height, width, channels]` of a map, `[width]` of a vector. */
export function featureShapes(model: Model): Record<string, number[]> {
  return tf.tidy(() => {
    const { features } = model.forward(tf.zeros<tf.Rank.R4>([1, ...model.inputShape]), false);
    const shapes = Object.entries(features).map(([layer, { shape }]) => [layer, shape.slice(1)] as const);
    return Object.fromEntries(shapes) as never;
  });
}
