import * as tf from '@tensorflow/tfjs';
import { z } from 'zod';
import { batchNorm } from '../../models/batchNorm.ts';
import { heNormalFanOut, linearUniform } from '../../models/initialisers.ts';
import { conv2d, dense, globalAveragePool } from '../../models/layers.ts';
import { Weights } from '../../models/weights.ts';
import { crossEntropy } from '../crossEntropy.ts';
import { type Chooser, chosenLayers, chosenStages, type MapShape, refuse } from '../layers.ts';
import { temperature, weight } from '../options.ts';
import { scaledGradient } from '../scaledGradient.ts';
import { softenedDivergence } from '../softenedDivergence.ts';
import type { FeatureShapes, Method, Modules } from '../types.ts';

const options = z.strictObject({
  temperature: temperature(3),
  alpha: z
    .number()
    .min(0)
    .max(1)
    .default(0.3)
    .describe(
      "share of the network's predictions in what the added classifiers learn; the labels have the rest",
    ),
  feature: weight(0.03).describe('weight of the distance of their features to those of the network'),
  layers: z
    .array(z.string().min(1))
    .min(1)
    .nullable()
    .default(null)
    .describe('maps that get a classifier of their own; null: all stages of the student but the last'),
});

type Options = z.infer<typeof options>;

/** A classifier on a map: its features, as wide as those of the network, and its logits. */
type Head = (maps: tf.Tensor4D) => { features: tf.Tensor2D; logits: tf.Tensor2D };

interface ByotModules extends Modules {
  /** By layer. */
  readonly heads: ReadonlyMap<string, Head>;
}

const chooser: Chooser = { method: 'byot', option: 'layers' };
const DEEPEST = 'embedding';

/**
 * Be your own teacher: classifiers on the stages of the network learn from the labels and from its deepest classifier,
 * which is the network's own,
 * `ceWeight · CE(z, y) + kdWeight · Σ_i [(1 - α) · CE(z_i, y) + α · KL(softmax(z / T) ‖ softmax(z_i / T)) + λ · ‖f_i - f‖²]`.
 *
 * The divergence goes from the deepest classifier to the others and is summed over the classes, without a factor `T²`; the
 * distance is summed over the features; mean over the batch. The deepest classifier and its features `f`, the layer
 * `embedding`, are constants here. Weights and temperature are those of the authors' later code, which takes a
 * cross-entropy for the divergence (the gradient is the same), and of the features the distance, not squared; the squared
 * one is the paper's.
 *
 * Each of the stages `i` has, as in the paper, a bottleneck that makes its maps as deep as the features and as small as the
 * student's smallest maps: a 1x1 convolution to a quarter of the final width, one whose kernel and stride are the ratio of
 * the sizes, and a 1x1 to the width, each with batch normalisation and rectifier. The mean over the positions is `f_i`,
 * and a linear layer gives `z_i`. They are trained with the student, and not a part of it: after training they are gone.
 *
 * @see Zhang et al., "Be your own teacher: improve the performance of convolutional neural networks via self
 *   distillation", ICCV 2019, arXiv 1905.08094, section 3
 */
export const byot: Method<Options, ByotModules> = {
  name: 'byot',
  summary: "be your own teacher: the network's output teaches classifiers added to its stages",
  source: 'Zhang et al. 2019, "Be Your Own Teacher", arXiv 1905.08094, section 3',
  teachers: 'none',
  options,
  weights: { ce: 1, kd: 1 },
  needs: (options, layers) => ({
    logits: false,
    features: [
      ...shallow(options, layers).map((layer) => ({ layer, encoder: 'map@1' }) as const),
      ...chosenLayers(chooser, [DEEPEST], layers).map((layer) => ({ layer, encoder: 'vector@1' }) as const),
    ],
  }),
  modules({ student, classes, seed }, options) {
    const weights = new Weights(seed);
    const available = Object.keys(student);
    const width = student[chosenLayers(chooser, [DEEPEST], available)[0]!]!.at(-1)!;
    const heights = Object.values(student).flatMap((shape) => (shape.length === 3 ? [shape[0]!] : []));
    const heads = shallow(options, available).map((layer) => {
      const [height, , inputs] = mapShape(student, layer);
      const kernel = Math.floor(height / Math.min(...heights));
      return [layer, createHead(weights, layer, { inputs, kernel, width, classes })] as const;
    });
    return { parameters: weights.parameters, buffers: weights.buffers, heads: new Map(heads) };
  },
  loss({ student, labels, modules, options: { temperature: T, alpha, feature } }) {
    const deepest = scaledGradient(student.logits, 0);
    const target = scaledGradient(student.features[DEEPEST] as tf.Tensor2D, 0);
    const losses = [...modules.heads].map(([layer, head]) => {
      const { features, logits } = head(student.features[layer] as tf.Tensor4D);
      return tf.addN([
        tf.mul(crossEntropy(logits, labels), 1 - alpha),
        tf.mul(softenedDivergence(logits, deepest, T), alpha / (T * T)),
        tf.mul(tf.sum(tf.square(tf.sub(features, target)), 1), feature),
      ]);
    });
    return tf.addN(losses) as tf.Tensor1D;
  },
};

/** @throws {UsageError} when the student has no such layers, or no stage before its last */
function shallow({ layers }: Options, available: readonly string[]): readonly string[] {
  if (layers) return chosenLayers(chooser, layers, available);
  const stages = chosenStages(chooser, null, available).slice(0, -1);
  if (stages.length === 0) refuse(chooser, 'the student has a single stage, and none before it to teach');
  return stages;
}

function mapShape(shapes: FeatureShapes, layer: string): MapShape {
  const shape = shapes[layer]!;
  if (shape.length !== 3) refuse(chooser, `"${layer}" is a vector of ${shape.join(' x ')}, not a map`);
  return shape as unknown as MapShape;
}

function createHead(
  weights: Weights,
  name: string,
  setup: { inputs: number; kernel: number; width: number; classes: number },
): Head {
  const { inputs, kernel, width, classes } = setup;
  const few = Math.max(1, Math.floor(width / 4));
  const narrow = conv2d(weights, `${name}.narrow.conv`, inputs, few, { kernel: 1 });
  const narrowed = batchNorm(weights, `${name}.narrow.bn`, few);
  const shrinker = weights.parameter(
    `${name}.shrink.conv.weight`,
    [kernel, kernel, few, few],
    heNormalFanOut,
  ) as tf.Tensor as tf.Tensor4D;
  const shrunk = batchNorm(weights, `${name}.shrink.bn`, few);
  const widen = conv2d(weights, `${name}.widen.conv`, few, width, { kernel: 1 });
  const widened = batchNorm(weights, `${name}.widen.bn`, width);
  const classify = dense(weights, `${name}.classifier`, width, classes, linearUniform);
  return (maps) => {
    const narrowMaps = tf.relu(narrowed(narrow(maps, true), true));
    const small = tf.relu(shrunk(tf.conv2d(narrowMaps, shrinker, kernel, 'valid'), true));
    const features = globalAveragePool(tf.relu(widened(widen(small, true), true)));
    return { features, logits: classify(features) };
  };
}
