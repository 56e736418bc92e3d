import type { Tensor, Tensor1D, Tensor2D, Variable } from '@tensorflow/tfjs';
import type { z } from 'zod';
import type { EncoderName } from './encoders/types.ts';

/**
 * Where the teacher's outputs come from:
 *
 * - `none`: nowhere; the labels, or the student's own outputs for the same batch, are all that the loss needs
 * - `peers`: other networks, over the network: students that learn too (online), or frozen teachers (offline)
 * - `ema`: the moving average of the student's own weights
 * - `generation`: the same architecture, trained before (born again)
 * - `previous-epoch`: what the student itself said of the same samples one epoch ago
 * - `previous-batch`: what the student itself said one step ago, of the half of the batch that is still there
 */
export type TeacherKind = 'none' | 'peers' | 'ema' | 'generation' | 'previous-epoch' | 'previous-batch';

/**
 * What a batch is made of:
 *
 * - `plain`: every sample once
 * - `overlapping`: the second half of the previous batch, then as many new samples
 * - `class-pairs`: after the samples, for each of them another one of its class: rows `i` and `i + batch / 2`
 * - `two-views`: after the samples, another augmented view of each: rows `i` and `i + batch / 2`
 */
export type BatchKind = 'plain' | 'overlapping' | 'class-pairs' | 'two-views';

/** How the predictions of several teachers become one target, see src/ensemble; `apart`: they do not. */
export type EnsembleKind =
  | 'mean-probabilities'
  | 'mean-logits'
  | 'trimmed-mean'
  | 'median'
  | 'min-logit'
  | 'best'
  | 'linear'
  | 'weighted'
  | 'apart';

/** One feature that the loss compares: the student computes it with its gradient, a teacher sends its encoding. */
export interface FeatureNeed {
  /** Such as `stage2`, `preact2` or `embedding`, see `ForwardPass`; for an encoder of pairs, both: `stage1+stage2`. */
  readonly layer: string;
  /** How the sender reduces it. */
  readonly encoder: EncoderName;
}

/** What a method needs of its student and of its teachers. */
export interface Needs {
  /** Whether teachers send their logits. */
  readonly logits: boolean;
  readonly features: readonly FeatureNeed[];
}

/** A network's outputs for one batch. */
export interface Outputs {
  /** `[batch, classes]`. */
  readonly logits: Tensor2D;
  /** By layer: maps `[batch, height, width, channels]`, and vectors `[batch, width]`. */
  readonly features: Readonly<Record<string, Tensor>>;
}

/** What a teacher says about a batch; constants, no gradient goes there. */
export interface TeacherOutputs {
  /**
   * `[batch, classes]`; the ensemble's when there are several teachers, and of `previous-batch` the first half of the rows
   * alone, `[batch / 2, classes]`. `null` when the method needs none.
   */
  readonly logits: Tensor2D | null;
  /** By layer: what the layer's encoder made of it. */
  readonly encodings: Readonly<Record<string, Tensor>>;
  /** Each of several teachers by itself, without the student, where the ensemble is `apart`: `logits` is `null` then. */
  readonly apart?: readonly TeacherOutputs[];
}

/** Extra variables of a method, on the side of the student. */
export interface Modules {
  /** Trained with the student, by name, in a fixed order. */
  readonly parameters: ReadonlyMap<string, Variable>;
  /** State that is not trained, by name, in a fixed order; in checkpoints too. */
  readonly buffers: ReadonlyMap<string, Variable>;
}

/** Shapes of a network's outputs, without the batch: by layer `[height, width, channels]` or `[width]`. */
export type FeatureShapes = Readonly<Record<string, readonly number[]>>;

export interface ModuleSetup {
  readonly student: FeatureShapes;
  /** Of the teacher's layers before they are encoded; `null` when the teacher is the student itself. */
  readonly teacher: FeatureShapes | null;
  readonly classes: number;
  /** Samples in the training set. */
  readonly trainSize: number;
  /** Class of each of them, by sample id. */
  readonly trainLabels: Uint16Array;
  readonly batchSize: number;
  /** Key of all random numbers. */
  readonly seed: number;
}

export interface LossInput<O, M extends Modules = Modules> {
  readonly student: Outputs;
  /** True classes, int32 `[batch]`. */
  readonly labels: Tensor1D;
  /** `null` when the method has no teachers. */
  readonly teacher: TeacherOutputs | null;
  readonly options: O;
  readonly modules: M;
  /** Sample ids of the rows. */
  readonly ids: Uint32Array;
  /** Steps since the start. */
  readonly step: number;
  /** Epochs since the start, fractions included, and in all. */
  readonly epoch: number;
  readonly epochs: number;
}

/** A term of the loss, as one value per sample; the mean over the batch is the caller's. */
export type Loss<O, M extends Modules = Modules> = (input: LossInput<O, M>) => Tensor1D;

/**
 * A distillation method. The loss of a batch is `mean(ceWeight · supervised + kdWeight · loss)`; each of the two is
 * differentiated with respect to the student's outputs and the parameters of the modules.
 *
 * @typeParam O options, as parsed
 */
export interface Method<O = unknown, M extends Modules = Modules> {
  readonly name: string;
  /** One line for people. */
  readonly summary: string;
  /** Authors, title, year, and where the formula stands. */
  readonly source: string;
  readonly teachers: TeacherKind;
  /** A strict object in which every key has a default and a description. */
  readonly options: z.ZodType<O>;
  /** Weights of the labels and of the distillation, unless the experiment gives its own. */
  readonly weights: { readonly ce: number; readonly kd: number };
  /** How several teachers become one, unless the experiment says; `mean-probabilities` when absent. */
  readonly ensemble?: (options: O) => EnsembleKind;
  /** Whether the ensemble counts the student's own predictions in. */
  readonly includesSelf?: boolean;
  /**
   * Whose predictions a student sends to the others: its `own` (when absent), or those of the moving average of its
   * weights, which its option `decay` sets.
   */
  readonly sends?: 'own' | 'ema';
  /** Default: teachers' logits and no features, where there are teachers. @param layers that the student has */
  readonly needs?: (options: O, layers: readonly string[]) => Needs;
  /** `plain` when absent. */
  readonly batch?: BatchKind;
  /** Whether the loss compares rows with each other, so that a part of a batch would not do. */
  readonly wholeBatch?: boolean;
  readonly modules?: (setup: ModuleSetup, options: O) => M;
  /** The distillation loss; absent for a method that only changes what is learned from the labels. */
  readonly loss?: Loss<O, M>;
  /** In the place of the cross-entropy to the labels. */
  readonly supervised?: Loss<O, M>;
  /** A first phase, in which `loss` takes the place of everything else. */
  readonly init?: {
    /** How long it lasts, of `epochs` in all. */
    readonly epochs: (options: O, epochs: number) => number;
    readonly loss: Loss<O, M>;
  };
  /**
   * Changes the buffers when the gradients of a batch are known and before any parameter changes; nothing that it does
   * is differentiated. Not called in the first phase, nor when nobody taught.
   */
  readonly afterStep?: (input: LossInput<O, M>) => void;
}

/** The modules of a method that has none. */
export const NO_MODULES: Modules = { parameters: new Map(), buffers: new Map() };
