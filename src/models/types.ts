import type { Tensor, Tensor2D, Tensor4D, Variable } from '@tensorflow/tfjs';

export interface ModelOptions {
  /** Height, width, channels of one image. */
  readonly inputShape: readonly [height: number, width: number, channels: number];
  readonly classes: number;
  /** Key of the initial weights: the same seed gives the same weights on every backend. */
  readonly seed: number;
}

export interface ForwardPass {
  /** Unnormalised scores, `[batch, classes]`. */
  readonly logits: Tensor2D;
  /**
   * Named features, shallow to deep: maps `[batch, h, w, c]`, `stage1`, `stage2`, ... and, as they are before their
   * rectifier, `preact1`, `preact2`, ...; and `embedding` `[batch, width]`.
   */
  readonly features: Readonly<Record<string, Tensor>>;
}

/** A student or teacher network. */
export interface Model {
  readonly name: string;
  readonly inputShape: readonly [height: number, width: number, channels: number];
  readonly classes: number;
  /** What the optimiser trains, by name, in a fixed order. */
  readonly parameters: ReadonlyMap<string, Variable>;
  /** State that is not trained (running statistics of batch normalisation), by name, in a fixed order. */
  readonly buffers: ReadonlyMap<string, Variable>;
  /**
   * @param images normalised pixels, `[batch, height, width, channels]`
   * @param training batch statistics and their running update when true; running statistics, and no side effect, when false
   */
  forward(images: Tensor4D, training: boolean): ForwardPass;
  dispose(): void;
}

export type ModelFactory = (options: ModelOptions) => Model;
