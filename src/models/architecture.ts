import * as tf from '@tensorflow/tfjs';
import { ShapeError, UsageError } from '../errors.ts';
import type { ForwardPass, Model, ModelOptions } from './types.ts';
import { Weights } from './weights.ts';

/** What an architecture makes of its weights: the forward pass, without any care for scopes and checks. */
export type Network = (images: tf.Tensor4D, training: boolean) => ForwardPass;

/** A family of networks of one shape: all that is needed to add a model to the registry. */
export interface Architecture {
  /** Least height and width of an image that leaves at least one pixel after the last pooling. */
  readonly leastSize: number;
  /** Makes the weights, in PyTorch's order, and returns the network that uses them. */
  build(weights: Weights, options: ModelOptions): Network;
}

/**
 * A model of the given architecture with freshly initialised weights.
 *
 * @throws {UsageError} for options that are no sizes
 * @throws {ShapeError} for images that are too small
 */
export function instantiate(name: string, architecture: Architecture, options: ModelOptions): Model {
  checkOptions(name, architecture, options);
  const { inputShape, classes, seed } = options;
  const weights = new Weights(seed);
  const network = architecture.build(weights, options);
  return {
    name,
    inputShape,
    classes,
    parameters: weights.parameters,
    buffers: weights.buffers,
    forward(images, training) {
      checkImages(name, images, inputShape);
      let pass: ForwardPass | undefined;
      tf.tidy(() => {
        pass = network(images, training);
        return { logits: pass.logits, ...pass.features };
      });
      return pass!;
    },
    dispose: () => weights.dispose(),
  };
}

function checkOptions(
  name: string,
  { leastSize }: Architecture,
  { inputShape, classes }: ModelOptions,
): void {
  const isSize = (size: number): boolean => Number.isSafeInteger(size) && size > 0;
  if (inputShape.length !== 3 || !inputShape.every(isSize)) {
    throw new UsageError(
      `Model "${name}": an input shape is [height, width, channels], got [${inputShape.join(', ')}].`,
    );
  }
  if (!isSize(classes)) {
    throw new UsageError(`Model "${name}": the number of classes is a positive integer, got ${classes}.`);
  }
  const [height, width] = inputShape;
  if (Math.min(height, width) < leastSize) {
    throw new ShapeError(
      `Model "${name}" takes images of ${leastSize}x${leastSize} pixels or more, got ${height}x${width}.`,
    );
  }
}

function checkImages(name: string, images: tf.Tensor4D, inputShape: ModelOptions['inputShape']): void {
  const [, ...shape] = images.shape;
  if (images.rank === 4 && shape.every((size, axis) => size === inputShape[axis])) return;
  throw new ShapeError(
    `Model "${name}" takes images [batch, ${inputShape.join(', ')}], got [${images.shape.join(', ')}].`,
  );
}
