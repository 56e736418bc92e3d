import type * as tf from '@tensorflow/tfjs';
import { layersOf } from '../distill/encoders/index.ts';
import { createModules, encodingKey, needsOf, type Objective } from '../distill/objective.ts';
import type { BatchKind, FeatureShapes, Modules, Needs, Outputs } from '../distill/types.ts';
import type { Model } from '../models/types.ts';
import { deriveKey } from '../random.ts';
import { type BatchLoss, batchLoss, type LossBatch } from './loss.ts';

/** The loss of one student: what its methods ask for, with their modules. */
export interface StudentLoss {
  readonly objective: Objective;
  /** What a batch has to be made of. */
  readonly batch: BatchKind;
  /** The features that the loss compares, in the order in which they follow the logits. */
  readonly layers: readonly string[];
  /** What teachers are to send. */
  readonly needs: Needs;
  /** The modules' parameters and buffers by name, for the optimiser and for checkpoints. */
  readonly parameters: ReadonlyMap<string, tf.Variable>;
  readonly buffers: ReadonlyMap<string, tf.Variable>;
  /** Runs the network, and gives what the loss is made of: the logits, then the features of `layers`. */
  forward(images: tf.Tensor4D): tf.Tensor[];
  /** @param outputs as `forward` gave them */
  outputs(outputs: readonly tf.Tensor[]): Outputs;
  of(batch: LossBatch): BatchLoss;
  dispose(): void;
}

export interface StudentLossSetup {
  readonly model: Model;
  /** The layers of the model. */
  readonly student: FeatureShapes;
  /** Those of the teachers; `null` when the student teaches itself. */
  readonly teacher: FeatureShapes | null;
  readonly trainSize: number;
  /** Class of each sample of the training set. */
  readonly trainLabels: Uint16Array;
  readonly batchSize: number;
  readonly seed: number;
}

/** @throws {UsageError} when a method needs a layer that the model does not have */
export function createStudentLoss(objective: Objective, setup: StudentLossSetup): StudentLoss {
  const { model } = setup;
  const available = Object.keys(setup.student);
  const needs = objective.terms.map((term) => needsOf(term, available));
  const features = needs.flatMap((each) => each.features);
  const layers = [...new Set(features.flatMap(({ layer }) => layersOf(layer)))];
  const seed = deriveKey(setup.seed, 'modules');
  const modules = createModules(objective, { ...setup, classes: model.classes, seed });
  return {
    objective,
    batch: objective.terms[0]?.method.batch ?? 'plain',
    layers,
    needs: { logits: needs.some(({ logits }) => logits), features: distinct(features) },
    parameters: named(objective, modules, 'parameters'),
    buffers: named(objective, modules, 'buffers'),
    forward(images) {
      const pass = model.forward(images, true);
      return [pass.logits, ...layers.map((layer) => pass.features[layer]!)];
    },
    outputs: ([logits, ...others]) => ({
      logits: logits as tf.Tensor2D,
      features: Object.fromEntries(layers.map((layer, i) => [layer, others[i]!])),
    }),
    of: (batch) => batchLoss(objective, modules, batch),
    dispose() {
      for (const { parameters, buffers } of modules) {
        for (const variable of [...parameters.values(), ...buffers.values()]) variable.dispose();
      }
    },
  };
}

function distinct(features: Needs['features']): Needs['features'] {
  return [...new Map(features.map((need) => [encodingKey(need), need])).values()];
}

/** The variables of all modules, by the names of the methods and their own. */
function named(
  { terms }: Objective,
  modules: readonly Modules[],
  kind: 'parameters' | 'buffers',
): Map<string, tf.Variable> {
  return new Map(
    modules.flatMap((each, i) =>
      [...each[kind]].map(([name, variable]) => [`${terms[i]!.method.name}.${name}`, variable] as const),
    ),
  );
}
