import type { Tensor, Tensor1D } from '@tensorflow/tfjs';
import type { Modules } from '../types.ts';

/**
 * How a sender reduces a layer's output to what the loss needs. The number is the version: a change of what is sent gets
 * a new name, so that both ends always mean the same.
 */
export type EncoderName =
  | 'vector@1'
  | 'map@1'
  | 'attention@1'
  | 'gram@1'
  | 'cosine@1'
  | 'signs@1'
  | 'factors@1'
  | 'flow@1';

/** What one end computes and the other one expects. */
export interface Encoder {
  readonly name: EncoderName;
  /** Why, for people: what is kept of the layer. */
  readonly summary: string;
  /** Whether this is the layer itself, of megabytes: only where the user allows it. */
  readonly raw: boolean;
  /** How the encoding travels: in the run's codec for logits, or as one bit an element. */
  readonly payload: 'codec' | 'bits';
  /**
   * @param layer a map `[batch, height, width, channels]` or a vector `[batch, width]`
   * @param next the second layer, for an encoder of pairs
   * @returns a new tensor, differentiable where the encoding is
   * @throws {UsageError} when the layer is not of the kind that the encoder takes
   */
  encode(layer: Tensor, next?: Tensor): Tensor;
  /**
   * Of the encoding, the batch included.
   *
   * @param layer shape without the batch
   * @throws {UsageError} as `encode`
   */
  shape(layer: readonly number[], batch: number, next?: readonly number[]): readonly number[];
  /** Where a sender has something to train before it can encode; such an encoder has no `encode` of its own. */
  readonly trainable?: TrainablePart;
}

/** What a sender trains on a layer of its own, without labels, before anybody learns from the encoding. */
export interface TrainablePart {
  /** Passes over the training set. */
  readonly epochs: number;
  readonly learningRate: number;
  /**
   * @param layer shape without the batch
   * @param seed key of the initial values
   */
  modules(layer: readonly number[], seed: number): TrainedModules;
}

export interface TrainedModules extends Modules {
  /** To be minimised over the parameters; one value per sample. */
  loss(layer: Tensor): Tensor1D;
  /** The encoding; a new tensor. */
  encode(layer: Tensor): Tensor;
}
